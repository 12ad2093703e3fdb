# SPDX-License-Identifier: GPL-2.0
#
# The front door: one word for each thing people do with this repository. It
# must never hold logic of its own beyond copying files to where they belong;
# kbuild reads Kbuild, not this file. `make help` says what there is.

KVER	?= $(shell uname -r)
KDIR	?= /lib/modules/$(KVER)/build
DESTDIR	?=
VERSION	:= $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf 2>/dev/null)
MODULES	:= drivers/ioasid/ioasid.ko vfio_glue/ioasid_vfio.ko \
	   drivers/ioasid/sim/ioasid_sim.ko drivers/ioasid/sim/ioasid_sim_vfio.ko
MODDIR	:= $(DESTDIR)/lib/modules/$(KVER)/updates
HEADERS	:= ioasid.h ioasid_sim.h
INCDIR	:= $(DESTDIR)/usr/include/linux
RULES	:= $(DESTDIR)/usr/lib/udev/rules.d/60-ioasid.rules
MANDIR	:= $(DESTDIR)/usr/share/man
MAN	:= $(notdir $(wildcard Documentation/man/*.2ioasid Documentation/man/*.4))
DKMSDIR	:= $(DESTDIR)/usr/src/ioasid-$(VERSION)

.DEFAULT_GOAL := help
.PHONY: help demo demo-vm check check-all bench fuzz coverage lint modules install uninstall dkms-install dkms-uninstall shell clean

help:
	@echo 'make demo           show it at work on a stock kernel in QEMU (needs root)'
	@echo 'make demo-vm        a virtual machine with a disk in /dev/ioasid, and a shell in it (needs root)'
	@echo 'make check          the everyday tests: each on at least one machine, the most important'
	@echo '                    ones on both kernels and under every IOMMU (needs root)'
	@echo 'make check-all      the whole matrix of tests and machines (needs root)'
	@echo 'make bench          compare with VFIO type1 and iommufd, repeatable numbers (needs root)'
	@echo 'make fuzz           look for programs that break the kernel (SECONDS=300; needs root)'
	@echo 'make coverage       which lines of the core the tests run through (needs root)'
	@echo 'make lint           checkpatch, kernel-doc, sparse, shellcheck (needs root)'
	@echo 'make shell          a shell in a test machine (needs root)'
	@echo 'make modules        build the modules for this kernel (KVER=, KDIR=)'
	@echo 'make install        modules, headers, man pages and udev rule (KVER=, DESTDIR=)'
	@echo 'make uninstall      the reverse of install'
	@echo 'make dkms-install   let DKMS build and install the modules, for this kernel and the next;'
	@echo '                    also headers and udev rule, but no man pages'
	@echo 'make dkms-uninstall the reverse of dkms-install'
	@echo 'make clean          remove what was built in this directory'

demo:
	@lab/demo

demo-vm:
	@lab/demo-vm

check:
	@lab/root && lab/check $(JOBS)

check-all:
	@lab/root && lab/check --all $(JOBS)

bench:
	@lab/bench

fuzz:
	@lab/fuzz --seconds $(or $(SECONDS),300)

coverage:
	@lab/coverage

lint:
	@lab/lint
	@lab/build --lint modules

shell:
	@lab/build modules selftests samples
	@lab/vm shell --edu 2 --nvme 2

modules:
	@test -e $(KDIR)/Makefile || { echo 'make: no kernel headers in $(KDIR): install linux-headers-$(KVER)' >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

install:
	@test -e $(firstword $(MODULES)) || { echo 'make: nothing is built yet: run make modules first' >&2; exit 1; }
	install -d $(MODDIR) $(INCDIR) $(dir $(RULES))
	for m in $(MODULES); do ! test -e $$m || install -m 644 $$m $(MODDIR)/ || exit 1; done
	install -m 644 $(addprefix include/uapi/linux/,$(HEADERS)) $(INCDIR)/
	install -m 644 udev/60-ioasid.rules $(RULES)
	install -d $(MANDIR)/man2 $(MANDIR)/man4
	install -m 644 Documentation/man/*.2ioasid $(MANDIR)/man2/
	install -m 644 Documentation/man/*.4 $(MANDIR)/man4/
	test -n '$(DESTDIR)' || depmod $(KVER)

uninstall:
	rm -f $(addprefix $(MODDIR)/,$(notdir $(MODULES))) $(addprefix $(INCDIR)/,$(HEADERS)) $(RULES)
	rm -f $(addprefix $(MANDIR)/man2/,$(filter %.2ioasid,$(MAN)))
	rm -f $(addprefix $(MANDIR)/man4/,$(filter %.4,$(MAN)))
	test ! -d $(MODDIR) || rmdir --ignore-fail-on-non-empty $(MODDIR)
	test -n '$(DESTDIR)' || depmod $(KVER)

dkms-install:
	@test -n '$(VERSION)' || { echo 'make: no version in dkms.conf' >&2; exit 1; }
	install -d $(DKMSDIR)
	cp -r Kbuild dkms.conf drivers vfio_glue include udev $(DKMSDIR)/
	find $(DKMSDIR) \( -name '*.o' -o -name '*.ko' -o -name '*.mod*' -o -name '.*.cmd' \) -delete
	install -d $(INCDIR) $(dir $(RULES))
	install -m 644 $(addprefix include/uapi/linux/,$(HEADERS)) $(INCDIR)/
	install -m 644 udev/60-ioasid.rules $(RULES)
	test -n '$(DESTDIR)' || dkms install -m ioasid -v $(VERSION) -k $(KVER)

dkms-uninstall:
	-test -n '$(DESTDIR)' || dkms remove -m ioasid -v $(VERSION) --all
	rm -rf $(DKMSDIR)
	rm -f $(addprefix $(INCDIR)/,$(HEADERS)) $(RULES)

clean:
	-test ! -e $(KDIR)/Makefile || $(MAKE) -C $(KDIR) M=$(CURDIR) clean
	rm -rf build
