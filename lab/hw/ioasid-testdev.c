// SPDX-License-Identifier: GPL-2.0
/*
 * ioasid-testdev: a PCI endpoint for QEMU's VT-d that does DMA by RID and by
 * PASID, translates ahead (ATS) into a cache of its own that goes stale unless it
 * is told, and asks for missing pages (PRI). It is preloaded into the packaged
 * program, which exports its device functions. It must never run in a QEMU that
 * differs from what qemu.h says: it refuses by itself. The registers are in
 * testdev_hw.h.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw.h"
#include "testdev_hw.h"

#define ATC_ENTRIES	256
#define PASID_BITS	20
#define PAGE_CAPACITY	32
#define RETRIES		8
#define PAGE		4096ULL

#define ATS_AT		0x100
#define PASID_AT	0x110
#define PRI_AT		0x120
#define ATS_CONTROL	(ATS_AT + 6)
#define PASID_CONTROL	(PASID_AT + 6)
#define PRI_CONTROL	(PRI_AT + 4)

struct testdev;

/* What is registered with the IOMMU for one PASID. Stays until the device goes. */
struct stream {
	struct q_page_notifier page;
	char tlb[Q_NOTIFIER_BYTES];
	struct testdev *t;
	struct stream *next;
	uint32_t pasid;
	bool has_tlb, has_page;
};

struct work {
	uint64_t addr;
	uint32_t left;
	uint32_t offset;
	uint32_t tries;		/* groups sent for the same page */
	uint32_t pages;		/* requested and not answered */
	uint16_t group;
	bool waiting;		/* for an answer, or for room to ask */
	bool asked;
};

struct testdev {
	struct testdev *next;
	struct q_device *dev;
	struct q_bh *bh;
	struct stream *streams;
	char region[Q_REGION_BYTES];
	struct q_translation atc[ATC_ENTRIES];
	uint32_t atc_next;
	uint32_t hits, misses, invalidations, dropped, requests, responses[3], resets, stray;
	struct q_translation last;
	uint32_t outstanding;
	uint32_t generation;
	bool pri_stopped;
	unsigned char slot[TESTDEV_SLOTS][TESTDEV_SLOT_BYTES];
	struct work work[TESTDEV_SLOTS];
	unsigned char buffer[TESTDEV_BUFFER_BYTES];
};

static struct testdev *devices;

static void refuse(const char *why)
{
	fprintf(stderr, "ioasid-testdev: %s: this needs QEMU 11.1 for x86_64\n", why);
	exit(1);
}

static uint32_t get32(struct testdev *t, int nr, int field)
{
	uint32_t v;

	memcpy(&v, t->slot[nr] + field, 4);
	return v;
}

static uint64_t get64(struct testdev *t, int nr, int field)
{
	uint64_t v;

	memcpy(&v, t->slot[nr] + field, 8);
	return v;
}

static void put32(struct testdev *t, int nr, int field, uint32_t v)
{
	memcpy(t->slot[nr] + field, &v, 4);
}

static void put64(struct testdev *t, int nr, int field, uint64_t v)
{
	memcpy(t->slot[nr] + field, &v, 8);
}

static bool bus_master(struct testdev *t)
{
	return pci_default_read_config(t->dev, 4, 2) & 4;
}

static uint32_t enabled(struct testdev *t)
{
	return (pcie_pasid_enabled(t->dev) ? TESTDEV_HAS_PASID : 0) |
	       (pcie_ats_enabled(t->dev) ? TESTDEV_HAS_ATS : 0) |
	       (pcie_pri_enabled(t->dev) ? TESTDEV_HAS_PRI : 0) |
	       (bus_master(t) ? TESTDEV_HAS_MASTER : 0);
}

/* --- the translation cache --------------------------------------------- */

static bool overlaps(const struct q_translation *e, const struct q_translation *inv)
{
	uint64_t first = inv->iova & ~inv->mask, last = inv->iova | inv->mask;

	return e->perm && e->pasid == inv->pasid && e->iova <= last &&
	       (e->iova | e->mask) >= first;
}

static void invalidated(void *notifier, struct q_translation *inv)
{
	struct stream *s = (void *)((char *)notifier - offsetof(struct stream, tlb));
	struct testdev *t = s->t;
	struct q_translation what = *inv;
	int i;

	what.pasid = s->pasid;
	t->invalidations++;
	t->last = what;
	for (i = 0; i < ATC_ENTRIES; i++) {
		if (!overlaps(&t->atc[i], &what))
			continue;
		t->atc[i].perm = 0;
		t->dropped++;
	}
}

static void forget_all(struct testdev *t)
{
	memset(t->atc, 0, sizeof(t->atc));
}

static void answered(struct q_page_notifier *n, struct q_page_response *resp)
{
	struct testdev *t = ((struct stream *)n)->t;
	int i = resp->group % TESTDEV_SLOTS;
	struct work *w = &t->work[i];
	uint32_t code = resp->code < 0 || resp->code > 2 ? 2 : resp->code;

	if (!w->asked || w->group != resp->group) {
		t->stray++;
		return;
	}
	t->responses[code]++;
	t->outstanding -= w->pages;
	w->asked = false;
	w->pages = 0;
	if (code == 2)
		t->pri_stopped = true;
	if (code) {
		put32(t, i, TESTDEV_ERROR, code == 1 ? TESTDEV_E_INVALID : TESTDEV_E_FAILURE);
		w->left = 0;
	}
	/* The IOMMU is in the middle of its work: go on later */
	for (i = 0; i < TESTDEV_SLOTS; i++)
		if (!t->work[i].asked)
			t->work[i].waiting = false;
	qemu_bh_schedule(t->bh);
}

static struct stream *stream(struct testdev *t, uint32_t pasid)
{
	struct stream *s;

	for (s = t->streams; s; s = s->next)
		if (s->pasid == pasid)
			return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		refuse("no memory");
	s->t = t;
	s->pasid = pasid;
	s->page.notify = answered;
	pci_iommu_init_iotlb_notifier(t->dev, s->tlb, invalidated, s);
	s->next = t->streams;
	t->streams = s;
	return s;
}

static bool has_right(const struct q_translation *e, bool write)
{
	return e->perm & (write ? TESTDEV_PERM_WRITE : TESTDEV_PERM_READ);
}

static struct q_translation *cached(struct testdev *t, uint32_t pasid, uint64_t addr)
{
	int i;

	for (i = 0; i < ATC_ENTRIES; i++)
		if (t->atc[i].perm && t->atc[i].pasid == pasid &&
		    !((t->atc[i].iova ^ addr) & ~t->atc[i].mask))
			return &t->atc[i];
	return NULL;
}

/* Ask the IOMMU, and keep the answer: NULL if there is no translation */
static struct q_translation *ask(struct testdev *t, uint32_t pasid, uint64_t addr, bool write)
{
	struct stream *s = stream(t, pasid);
	struct q_translation found[4] = {}, *e;
	uint32_t errors = 0;

	if (!s->has_tlb)
		s->has_tlb = !pci_iommu_register_iotlb_notifier(t->dev, pasid, s->tlb);
	if (!s->has_tlb)
		return NULL;
	if (pci_ats_request_translation(t->dev, pasid, false, false, addr & ~(PAGE - 1), PAGE,
					!write, found, 4, &errors) < 1 || !(found[0].perm & 3))
		return NULL;
	e = cached(t, pasid, addr);
	if (!e)
		e = &t->atc[t->atc_next++ % ATC_ENTRIES];
	*e = found[0];
	e->iova &= ~e->mask;
	e->addr &= ~e->mask;
	e->pasid = pasid;
	return e;
}

static struct q_translation *translate(struct testdev *t, uint32_t pasid, uint64_t addr,
				       bool write)
{
	struct q_translation *e = cached(t, pasid, addr);

	if (e && has_right(e, write)) {
		t->hits++;
		return e;
	}
	t->misses++;
	e = ask(t, pasid, addr, write);
	return e && has_right(e, write) ? e : NULL;
}

/* --- commands ------------------------------------------------------------ */

static uint32_t pasid_of(struct testdev *t, int nr)
{
	return get32(t, nr, TESTDEV_FLAGS) & TESTDEV_F_PASID ? get32(t, nr, TESTDEV_PASID) :
		Q_NO_PASID;
}

static bool writes(uint32_t op)
{
	return op == TESTDEV_OP_WRITE || op == TESTDEV_OP_FILL || op == TESTDEV_OP_ADD;
}

static void finish(struct testdev *t, int nr, uint32_t error)
{
	if (error) {
		put32(t, nr, TESTDEV_ERROR, error);
		put64(t, nr, TESTDEV_FAULT_ADDR, t->work[nr].addr);
	}
	t->work[nr].waiting = false;
	put32(t, nr, TESTDEV_STATUS, TESTDEV_FINISHED);
	if (get32(t, nr, TESTDEV_FLAGS) & TESTDEV_F_IRQ && bus_master(t))
		msix_notify(t->dev, get32(t, nr, TESTDEV_VECTOR) % TESTDEV_VECTORS);
}

/* The pages of one group: those that the command still needs, as many as fit */
static uint32_t missing(struct testdev *t, int nr, uint64_t *page)
{
	uint32_t flags = get32(t, nr, TESTDEV_FLAGS), op = get32(t, nr, TESTDEV_OPCODE);
	uint32_t nr_pages = 0;
	struct work *w = &t->work[nr];
	uint64_t a = w->addr & ~(PAGE - 1), end = w->addr + w->left;
	struct q_translation *e;

	if (op != TESTDEV_OP_REQUEST && !(flags & TESTDEV_F_GROUP))
		end = w->addr + 1;
	for (; a < end && nr_pages < TESTDEV_MAX_GROUP; a += PAGE) {
		e = op == TESTDEV_OP_REQUEST || a <= w->addr ? NULL :
			ask(t, pasid_of(t, nr), a, writes(op));
		if (!e || !has_right(e, writes(op)))
			page[nr_pages++] = a;
	}
	return nr_pages;
}

/* 0: asked, or waiting until there is room to ask */
static uint32_t request(struct testdev *t, int nr)
{
	uint32_t op = get32(t, nr, TESTDEV_OPCODE), pasid = pasid_of(t, nr), i, n, capacity;
	uint32_t flags = get32(t, nr, TESTDEV_FLAGS);
	bool write = op == TESTDEV_OP_REQUEST ? !(flags & TESTDEV_F_NO_WRITE) :
		writes(op);
	bool read = op == TESTDEV_OP_REQUEST || op == TESTDEV_OP_ADD || !write;
	uint64_t page[TESTDEV_MAX_GROUP];
	struct stream *s = stream(t, pasid);
	struct work *w = &t->work[nr];

	if (!(enabled(t) & TESTDEV_HAS_PRI))
		return TESTDEV_E_DISABLED;
	if (t->pri_stopped)
		return TESTDEV_E_FAILURE;
	if (!s->has_page)
		s->has_page = !pci_pri_register_notifier(t->dev, pasid, &s->page);
	if (!s->has_page)
		return TESTDEV_E_REQUEST;
	capacity = pcie_pri_get_req_alloc(t->dev);
	n = missing(t, nr, page);
	n = n > capacity ? capacity : n;
	w->waiting = true;
	if (t->outstanding + n > capacity)
		return 0;
	w->group = nr + TESTDEV_SLOTS * (t->generation++ % 8);
	w->asked = true;
	w->tries++;
	w->pages = n;
	t->outstanding += n;
	for (i = 0; i < n; i++) {
		if (pci_pri_request_page(t->dev, pasid, false, false, page[i], i == n - 1,
					 w->group, read, write)) {
			t->outstanding -= n;
			w->asked = false;
			return TESTDEV_E_REQUEST;
		}
		t->requests++;
	}
	return 0;
}

/* Where an access without translation ahead goes, or NULL */
static struct q_space *space_of(struct testdev *t, uint32_t pasid)
{
	struct q_vtd *vtd = object_resolve_path_type("", "intel-iommu", NULL);
	struct q_space *rid = pci_device_iommu_address_space(t->dev);
	struct q_bus *iommu_bus, *bus;
	int devfn;

	if (pasid == Q_NO_PASID)
		return rid;
	pci_device_get_iommu_bus_devfn(t->dev, &iommu_bus, &bus, &devfn);
	if (!vtd || !iommu_bus)
		return NULL;
	if (vtd_find_add_as(vtd, bus, devfn, Q_NO_PASID) + Q_VTD_SPACE_AT != (char *)rid)
		refuse("VT-d's address spaces are not where they should be");
	return (void *)(vtd_find_add_as(vtd, bus, devfn, pasid) + Q_VTD_SPACE_AT);
}

static uint32_t access_memory(struct testdev *t, int nr, struct q_space *space, uint64_t addr,
			      uint32_t n)
{
	const struct q_attrs attrs = {};
	struct work *w = &t->work[nr];
	unsigned char fill[PAGE];
	uint64_t old, new;

	switch (get32(t, nr, TESTDEV_OPCODE)) {
	case TESTDEV_OP_READ:
		return address_space_rw(space, addr, attrs, t->buffer + w->offset, n, false);
	case TESTDEV_OP_WRITE:
		return address_space_rw(space, addr, attrs, t->buffer + w->offset, n, true);
	case TESTDEV_OP_FILL:
		memset(fill, get32(t, nr, TESTDEV_DATA), n);
		return address_space_rw(space, addr, attrs, fill, n, true);
	default:
		if (address_space_rw(space, addr, attrs, &old, 8, false))
			return 1;
		new = old + get64(t, nr, TESTDEV_DATA);
		put64(t, nr, TESTDEV_DATA, old);
		return address_space_rw(space, addr, attrs, &new, 8, true);
	}
}

/* One page or part of it. 0 and no progress: it waits for an answer */
static uint32_t step(struct testdev *t, int nr)
{
	uint32_t flags = get32(t, nr, TESTDEV_FLAGS), pasid = pasid_of(t, nr), n;
	bool write = writes(get32(t, nr, TESTDEV_OPCODE));
	struct work *w = &t->work[nr];
	uint64_t addr = w->addr;
	struct q_translation *e;
	struct q_space *space;

	n = PAGE - (addr & (PAGE - 1));
	n = n < w->left ? n : w->left;
	if (flags & TESTDEV_F_ATS) {
		e = translate(t, pasid, addr, write);
		if (!e && !(flags & TESTDEV_F_PRI))
			return TESTDEV_E_TRANSLATE;
		if (!e && w->tries == RETRIES)
			return TESTDEV_E_AGAIN;
		if (!e)
			return request(t, nr);
		space = e->space;
		addr = e->addr | (addr & e->mask);
	} else {
		space = space_of(t, pasid);
	}
	if (!space)
		return TESTDEV_E_DISABLED;
	if (access_memory(t, nr, space, addr, n))
		return TESTDEV_E_DMA;
	w->tries = 0;
	w->addr += n;
	w->left -= n;
	w->offset += n;
	put32(t, nr, TESTDEV_DONE_BYTES, get32(t, nr, TESTDEV_DONE_BYTES) + n);
	return 0;
}

static void run(struct testdev *t, int nr)
{
	uint32_t op = get32(t, nr, TESTDEV_OPCODE), error = get32(t, nr, TESTDEV_ERROR);
	struct work *w = &t->work[nr];
	struct q_translation *e;

	if (op == TESTDEV_OP_TRANSLATE) {
		e = translate(t, pasid_of(t, nr), w->addr,
			      !(get32(t, nr, TESTDEV_FLAGS) & TESTDEV_F_NO_WRITE));
		put64(t, nr, TESTDEV_DATA, e ? e->perm & 3 : 0);
		finish(t, nr, e ? 0 : TESTDEV_E_TRANSLATE);
		return;
	}
	if (op == TESTDEV_OP_REQUEST && !w->tries)
		error = request(t, nr);
	while (op != TESTDEV_OP_REQUEST && w->left && !w->waiting && !error)
		error = step(t, nr);
	if (error || !w->waiting)
		finish(t, nr, error);
}

static void run_all(void *opaque)
{
	struct testdev *t = opaque;
	int nr;

	for (nr = 0; nr < TESTDEV_SLOTS; nr++)
		if (get32(t, nr, TESTDEV_STATUS) == TESTDEV_BUSY && !t->work[nr].waiting)
			run(t, nr);
}

/* What is wrong with it, before anything is done */
static uint32_t check(struct testdev *t, int nr)
{
	uint32_t op = get32(t, nr, TESTDEV_OPCODE), flags = get32(t, nr, TESTDEV_FLAGS);
	uint32_t length = get32(t, nr, TESTDEV_LENGTH), at = get32(t, nr, TESTDEV_BUFFER);
	uint32_t has = enabled(t);
	bool ats = flags & TESTDEV_F_ATS || op == TESTDEV_OP_TRANSLATE;

	if (op > TESTDEV_OP_FLUSH || length > TESTDEV_BUFFER_BYTES ||
	    at > TESTDEV_BUFFER_BYTES - length)
		return TESTDEV_E_COMMAND;
	if (op == TESTDEV_OP_ADD && (length != 8 || get64(t, nr, TESTDEV_ADDR) & 7))
		return TESTDEV_E_COMMAND;
	if (op == TESTDEV_OP_REQUEST && (!length || length > TESTDEV_MAX_GROUP))
		return TESTDEV_E_COMMAND;
	if (op == TESTDEV_OP_NOP || op == TESTDEV_OP_FLUSH)
		return 0;
	if (flags & TESTDEV_F_PASID && get32(t, nr, TESTDEV_PASID) >> PASID_BITS)
		return TESTDEV_E_COMMAND;
	if (!(has & TESTDEV_HAS_MASTER) || (ats && !(has & TESTDEV_HAS_ATS)) ||
	    (flags & TESTDEV_F_PASID && !(has & TESTDEV_HAS_PASID)))
		return TESTDEV_E_DISABLED;
	return 0;
}

static void begin(struct testdev *t, int nr)
{
	uint32_t op = get32(t, nr, TESTDEV_OPCODE), error;
	struct work *w = &t->work[nr];

	if (get32(t, nr, TESTDEV_STATUS) == TESTDEV_BUSY)
		return;
	memset(w, 0, sizeof(*w));
	w->addr = get64(t, nr, TESTDEV_ADDR);
	w->left = op == TESTDEV_OP_NOP || op == TESTDEV_OP_FLUSH ? 0 : get32(t, nr, TESTDEV_LENGTH);
	w->offset = get32(t, nr, TESTDEV_BUFFER);
	put32(t, nr, TESTDEV_ERROR, 0);
	put64(t, nr, TESTDEV_FAULT_ADDR, 0);
	put32(t, nr, TESTDEV_DONE_BYTES, 0);
	error = check(t, nr);
	if (error) {
		finish(t, nr, error);
		return;
	}
	if (op == TESTDEV_OP_REQUEST)
		w->left *= PAGE;
	if (op == TESTDEV_OP_FLUSH)
		forget_all(t);
	put32(t, nr, TESTDEV_STATUS, TESTDEV_BUSY);
	qemu_bh_schedule(t->bh);
}

/* --- registers ------------------------------------------------------------ */

static uint32_t held(struct testdev *t)
{
	uint32_t n = 0, i;

	for (i = 0; i < ATC_ENTRIES; i++)
		n += !!t->atc[i].perm;
	return n;
}

static uint64_t read_register(struct testdev *t, uint64_t at)
{
	switch (at) {
	case TESTDEV_ID: return TESTDEV_ID_VALUE;
	case TESTDEV_ENABLED: return enabled(t);
	case TESTDEV_PASID_BITS: return PASID_BITS;
	case TESTDEV_ATC_ENTRIES: return held(t);
	case TESTDEV_ATC_HITS: return t->hits;
	case TESTDEV_ATC_MISSES: return t->misses;
	case TESTDEV_INVALIDATIONS: return t->invalidations;
	case TESTDEV_DROPPED: return t->dropped;
	case TESTDEV_REQUESTS: return t->requests;
	case TESTDEV_RESPONSES: return t->responses[0];
	case TESTDEV_RESPONSES + 4: return t->responses[1];
	case TESTDEV_RESPONSES + 8: return t->responses[2];
	case TESTDEV_RESETS: return t->resets;
	case TESTDEV_STRAY: return t->stray;
	case TESTDEV_INV_ADDR: return t->last.iova;
	case TESTDEV_INV_MASK: return t->last.mask;
	case TESTDEV_INV_PASID: return t->last.pasid;
	}
	return 0;
}

static unsigned char *memory_at(struct testdev *t, uint64_t at, unsigned int size)
{
	if (at >= TESTDEV_BUFFER_AT && at + size <= TESTDEV_BUFFER_AT + TESTDEV_BUFFER_BYTES)
		return t->buffer + at - TESTDEV_BUFFER_AT;
	if (at >= TESTDEV_SLOTS_AT && at + size <= TESTDEV_SLOTS_AT + sizeof(t->slot))
		return t->slot[0] + at - TESTDEV_SLOTS_AT;
	return NULL;
}

static uint64_t read_bar(void *opaque, uint64_t at, unsigned int size)
{
	unsigned char *mem = memory_at(opaque, at, size);
	uint64_t v = 0;

	if (!mem)
		return read_register(opaque, at);
	memcpy(&v, mem, size);
	return v;
}

static void write_bar(void *opaque, uint64_t at, uint64_t data, unsigned int size)
{
	unsigned char *mem = memory_at(opaque, at, size);
	int nr = (at - TESTDEV_SLOTS_AT) / TESTDEV_SLOT_BYTES;
	int field = at % TESTDEV_SLOT_BYTES;
	struct testdev *t = opaque;

	if (!mem)
		return;
	if (at < TESTDEV_BUFFER_AT && field == TESTDEV_DOORBELL)
		begin(t, nr);
	else if (at >= TESTDEV_BUFFER_AT ||
		 (field < TESTDEV_STATUS && get32(t, nr, TESTDEV_STATUS) != TESTDEV_BUSY))
		memcpy(mem, &data, size);
}

static const struct q_region_ops bar_ops = {
	.read = read_bar,
	.write = write_bar,
	.endianness = Q_LITTLE_ENDIAN,
	.valid = { .min = 4, .max = 8 },
	.impl = { .min = 4, .max = 8 },
};

/* --- the device ------------------------------------------------------------ */

static struct testdev *testdev_of(struct q_device *dev)
{
	struct testdev *t = devices;

	while (t && t->dev != dev)
		t = t->next;
	return t;
}

/*
 * No QEMU sets SMPWC in VT-d's extended capabilities, and Linux shares no
 * process' memory without. It is one register in the object, which is found by
 * what the guest reads there. The firmware looks at us before the kernel looks
 * at the register, also after a reset.
 */
#define VTD_REGISTERS	0xfed90000ULL
#define VTD_ECAP	0x10
#define VTD_ECAP_PASID	(1ULL << 40)
#define VTD_ECAP_SMPWC	(1ULL << 48)

static void allow_sva(void)
{
	void *vtd = object_resolve_path_type("", "intel-iommu", NULL);
	unsigned char shown[VTD_ECAP + 8], *p, *end, *found = NULL;
	uint64_t ecap;

	if (!vtd || address_space_rw((void *)address_space_memory, VTD_REGISTERS,
				     (struct q_attrs){}, shown, sizeof(shown), false))
		return;
	memcpy(&ecap, shown + VTD_ECAP, 8);
	if (ecap & VTD_ECAP_SMPWC || !(ecap & VTD_ECAP_PASID))
		return;
	end = (unsigned char *)vtd + malloc_usable_size(vtd) - sizeof(shown);
	for (p = vtd; p <= end; p++) {
		if (memcmp(p, shown, sizeof(shown)))
			continue;
		if (found)
			refuse("VT-d's registers are there twice");
		found = p;
	}
	if (!found)
		refuse("VT-d's registers are not where they should be");
	ecap |= VTD_ECAP_SMPWC;
	memcpy(found + VTD_ECAP, &ecap, 8);
}

static uint32_t config_read(struct q_device *dev, uint32_t addr, int len)
{
	if (!addr)
		allow_sva();
	return pci_default_read_config(dev, addr, len);
}

static void config_write(struct q_device *dev, uint32_t addr, uint32_t val, int len)
{
	struct testdev *t = testdev_of(dev);

	pci_default_write_config(dev, addr, val, len);
	pcie_cap_flr_write_config(dev, addr, val, len);
	if (t && !pcie_ats_enabled(dev))
		forget_all(t);
}

static void reset(struct q_device *dev)
{
	struct testdev *t = testdev_of(dev);

	pci_default_write_config(dev, PRI_CONTROL, 0, 2);
	pci_default_write_config(dev, ATS_CONTROL, 0, 2);
	pci_default_write_config(dev, PASID_CONTROL, 0, 2);
	if (!t)
		return;
	forget_all(t);
	memset(t->slot, 0, sizeof(t->slot));
	memset(t->work, 0, sizeof(t->work));
	t->outstanding = 0;
	t->pri_stopped = false;
	t->resets++;
}

static void realize(struct q_device *dev, struct q_error **err)
{
	struct testdev *t = calloc(1, sizeof(*t));
	int i;

	if (!t)
		refuse("no memory");
	t->dev = dev;
	t->bh = qemu_bh_new_full(run_all, t, "ioasid-testdev", NULL);
	if (pcie_endpoint_cap_init(dev, 0) < 0)
		refuse("the PCI Express capability cannot be added");
	pcie_cap_flr_init(dev);
	pcie_ats_init(dev, ATS_AT, true);
	pcie_pasid_init(dev, PASID_AT, PASID_BITS, false, false);
	pcie_pri_init(dev, PRI_AT, PAGE_CAPACITY, true);
	memory_region_init_io(t->region, dev, &bar_ops, t, "ioasid-testdev", TESTDEV_BAR_BYTES);
	pci_register_bar(dev, 0, 0, t->region);
	if (msix_init_exclusive_bar(dev, TESTDEV_VECTORS, 1, err))
		refuse("MSI-X cannot be added");
	for (i = 0; i < TESTDEV_VECTORS; i++)
		msix_vector_use(dev, i);
	t->next = devices;
	devices = t;
}

/*
 * What the IOMMU still refers to, and the BAR, which QEMU drops later, stay
 * allocated: few devices are ever unplugged in one run.
 */
static void unplug(struct q_device *dev)
{
	struct testdev *t = testdev_of(dev), **link = &devices;
	struct stream *s;

	msix_uninit_exclusive_bar(dev);
	for (s = t->streams; s; s = s->next) {
		if (s->has_tlb)
			pci_iommu_unregister_iotlb_notifier(dev, s->pasid, s->tlb);
		if (s->has_page)
			pci_pri_unregister_notifier(dev, s->pasid);
	}
	qemu_bh_delete(t->bh);
	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
}

static struct q_pci_class *pci_class(struct q_class *klass)
{
	return (void *)((char *)klass + Q_PCI_CLASS_AT);
}

/* Does our declaration fit a device whose fields we can predict? */
struct q_pci_class *hw_pci_class(struct q_class *klass)
{
	struct q_class *edu = object_class_by_name("edu");

	if (!edu || pci_class(edu)->vendor != 0x1234 || pci_class(edu)->device != 0x11e8 ||
	    pci_class(edu)->class != 0x00ff)
		refuse("PCI devices are described in another way");
	return pci_class(klass);
}

static void class_init(struct q_class *klass, const void *data)
{
	struct q_pci_class *c = hw_pci_class(klass);

	c->realize = realize;
	c->exit = unplug;
	c->config_read = config_read;
	c->config_write = config_write;
	c->vendor = TESTDEV_VENDOR;
	c->device = TESTDEV_DEVICE;
	c->revision = 1;
	c->class = 0x00ff;
	device_class_set_legacy_reset(klass, reset);
}

static const struct q_interface interfaces[] = { { "pci-express-device" }, { } };

static const struct q_type type = {
	.name = "ioasid-testdev",
	.parent = "pci-device",
	.class_init = class_init,
	.interfaces = interfaces,
};

static void add_type(void)
{
	struct q_version *v = qmp_query_version(NULL);

	if (v->number->major != 11 || v->number->minor != 1)
		refuse("another version");
	type_register_static(&type);
	type_register_static(&southbridge_type);
}

__attribute__((constructor)) static void loaded(void)
{
	register_module_init(add_type, Q_MODULE_QOM);
}
