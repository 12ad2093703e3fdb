#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Virtual machines whose devices live in /dev/ioasid: QEMU with our backend runs in
# this machine, with a disk of it assigned to its guest, and the guest's data is
# compared. One boot of a guest serves many cases. It must never judge by time, and
# never leave a QEMU behind.
#
#   qemu_test.sh [PART]...   messages, passed_fd, accounts, main_guest,
#	type1_guest, viommu_guest, boot_sector
#
# A guest takes as long to boot as all that is done with it. So those that can be
# another one's boot only with IOASID_GUESTS=all, as make check-all has it: a guest
# that boots from type1, and the main guest after a system_reset.
#
# lab/vm run --qemu puts QEMU and a guest into /qemu: see lab/README.md.
# shellcheck disable=SC3043,SC3045 # the shell is busybox

TOP=/qemu
T=/tmp/qemu_test
# Patience only: when it is over, something hangs.
SECONDS_MAX=600

parts=$*
first() { echo "$1"; }
second() { echo "${2:-}"; }
# shellcheck disable=SC2086 # words
disk0=$(first $IOASID_NVME) disk1=$(second $IOASID_NVME) pair0=$(first $IOASID_EDU) \
	pair1=$(second $IOASID_EDU)
count=0 failed=0 written='' pid='' more=''

echo "TAP version 13"
if [ ! -x $TOP/bin/qemu-system-x86_64 ] || [ -z "$disk1" ] || [ -z "$pair1" ]; then
	echo "1..1"
	echo "ok 1 qemu_test # SKIP needs QEMU, two disks and two functions of one edu (bed g7 of lab/matrix)"
	exit 0
fi
rm -rf $T
mkdir -p $T
chmod 755 $TOP/bin/* $TOP/lib/*

note() { echo "# $*"; }

# ok NAME STATUS: the result of a case
ok()
{
	count=$((count + 1))
	if [ "$2" = 0 ]; then
		echo "ok $count $1"
	else
		failed=$((failed + 1))
		echo "not ok $count $1"
		tail -n 3 $T/err 2> /dev/null | sed 's/^/# qemu: /'
	fi
}

# is WHAT WANTED GOT
is()
{
	[ "$2" = "$3" ] && return 0
	note "$1: expected: $2"
	note "$1: got:      $3"
	return 1
}

# between LOW N HIGH
between()
{
	[ "$1" -lt "$2" ] && [ "$2" -lt "$3" ] && return 0
	note "$2 is not between $1 and $3"
	return 1
}

# has TEXT FILE
has()
{
	grep -qF -- "$1" "$2" && return 0
	note "missing: $1"
	return 1
}

# --- one QEMU ------------------------------------------------------------------------

# No function: that would be a shell, and die in QEMU's place.
QEMU="$TOP/lib/ld-linux-x86-64.so.2 --library-path $TOP/lib $TOP/bin/qemu-system-x86_64
	-L $TOP/share -no-user-config -nodefaults -display none"
ONE_LINE=$(echo "$QEMU" | tr -s '\n\t' '  ')

# start ARGUMENT...: a QEMU that is spoken to by qmp and, once its guest is there, by guest
start()
{
	local p

	rm -f $T/*.in $T/*.out $T/err $T/console
	for p in qmp tty; do mkfifo $T/$p.in $T/$p.out; done
	exec 3<> $T/qmp.in 4<> $T/qmp.out 5<> $T/tty.in 6<> $T/tty.out
	# shellcheck disable=SC2086 # words
	$QEMU -chardev pipe,id=qmp,path=$T/qmp -mon chardev=qmp,mode=control \
		-serial file:$T/console -chardev pipe,id=tty,path=$T/tty -serial chardev:tty \
		"$@" 2> $T/err 3>&- 4>&- 5>&- 6>&- &
	pid=$!
	read -r -t $SECONDS_MAX _ <&4
	qmp '{"execute": "qmp_capabilities"}'
}
cr=$(printf '\r')

# qmp COMMAND: $answer is what came back, $events the events before it
qmp()
{
	events='' answer='QEMU has died'
	kill -0 "$pid" 2> /dev/null || return 1
	echo "$1" >&3
	while read -r -t $SECONDS_MAX answer <&4; do
		answer=${answer%"$cr"}
		case $answer in
		*'"return": '*) return 0 ;;
		*'"error": '*) return 1 ;;
		*) events="$events $answer" ;;
		esac
	done
	answer='no answer'
	return 1
}

# event NAME: waits for it
event()
{
	case $events in *"\"$1\""*) return 0 ;; esac
	while read -r -t $SECONDS_MAX answer <&4; do
		case $answer in *"\"$1\""*) return 0 ;; esac
	done
	note "no event $1"
	return 1
}

# get PATH PROPERTY: prints it as JSON
get()
{
	qmp "{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"$1\", \"property\": \"$2\"}}"
	echo "$answer" | sed 's/^{"return": //; s/}$//'
}

info() { get /objects/io0 info; }
pinned() { field pinned "$(info)"; }
attachments() { info | grep -o '"attachments": [0-9]*' | cut -d' ' -f2 | paste -sd' '; }

# field NAME JSON: the last number of that name, which is that of the object
field() { echo "$2" | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p"; }

# the sentence of the last error
why() { echo "$answer" | sed -n 's/.*"desc": "\(.*\)"}}*$/\1/p'; }

# ready: the guest's shell is there
ready()
{
	while read -r -t $SECONDS_MAX line <&6; do
		case $line in *"guest: ready"*) return 0 ;; esac
	done
	note "the guest did not come: $(tail -n 3 $T/console | tr '\r\n' '  ')"
	return 1
}

# guest COMMAND: prints its output; its status
guest()
{
	local line

	echo "$*" >&5
	while read -r -t $SECONDS_MAX line <&6; do
		line=$(echo "$line" | tr -d '\r')
		case $line in
		"guest: "*) return "${line#guest: }" ;;
		*) echo "$line" ;;
		esac
	done
	return 1
}

# stop [SIGNAL]
stop()
{
	[ "$pid" ] || return 0
	if [ "$1" ]; then
		kill -"$1" $pid
	else
		echo '{"execute": "quit"}' >&3
	fi
	wait $pid
	status=$?
	pid=''
	exec 3>&- 4>&- 5>&- 6>&-
	return 0
}

trap 'stop KILL' EXIT

# start_as_lab LIMIT ARGUMENT...: a QEMU without a guest, of a user without rights, with
# this RLIMIT_MEMLOCK; it is spoken to by qmp
start_as_lab()
{
	local limit="$1"

	shift
	rm -f $T/*.in $T/*.out
	mkfifo $T/qmp.in $T/qmp.out
	chmod 666 $T/qmp.in $T/qmp.out
	exec 3<> $T/qmp.in 4<> $T/qmp.out
	(ulimit -l "$limit" && exec su lab -s /bin/sh -c "exec $ONE_LINE -M q35 -m 64M -S -chardev pipe,id=qmp,path=$T/qmp -mon chardev=qmp,mode=control $*") \
		2> $T/err 3>&- 4>&- 5>&- 6>&- &
	pid=$!
	read -r -t $SECONDS_MAX _ <&4
	qmp '{"execute": "qmp_capabilities"}'
}

# ends ARGUMENT...: a QEMU that cannot start; its words go to err, as a person sees them
ends()
{
	# shellcheck disable=SC2086 # words
	$QEMU -M q35 -S "$@" > $T/err 2>&1 < /dev/null
	status=$?
	[ $status = 1 ] && return 0
	note "exit status $status"
	return 1
}

# says TEXT: all that the last QEMU has said, but for the words before the cause
says() { is message "$1" "$(sed 's/^[^:]*qemu-system-x86_64: //' $T/err | head -n "${2:-1}")"; }

# --- what the host sees --------------------------------------------------------------------

# Data of a disk of the guest, which is named by its serial number since the order can
# be any; no cache is between.
disk()
{
	guest "i=0; until d=\$(grep -ls $1 /sys/block/nvme*/device/serial); do i=\$((i + 1)); [ \$i -lt 3000 ] || exit 1; usleep 20000; done; echo \$d | cut -d/ -f4; until [ -b /dev/\$(echo \$d | cut -d/ -f4) ]; do usleep 20000; done" | tail -n 1
}
put()
{
	guest "dd if=/dev/urandom of=/tmp/a bs=1M count=1 2> /dev/null && dd if=/tmp/a of=/dev/$(disk "$1") bs=1M seek=1 oflag=direct 2> /dev/null && sha256sum < /tmp/a | cut -c1-32"
}
sum() { guest "dd if=/dev/$(disk "$1") bs=1M skip=1 count=1 iflag=direct 2> /dev/null | sha256sum | cut -c1-32"; }
# KiB of what QEMU has locked, by the limit of the process
locked() { sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' /proc/"$pid"/status; }
hot_resets() { grep -c 'hot reset: Success' $T/trace; }

# edu NUMBER HEX: this edu of the guest takes 8 bytes from the memory that the guest's
# kernel leaves alone, and brings them to another place there, which is printed
edu()
{
	# shellcheck disable=SC2016 # for the guest's shell
	guest "N=$1; R=0x$2;" 'until d=$(grep -l 0x11e8 /sys/bus/pci/devices/*/device | sed -n ${N}p) && [ "$d" ]; do usleep 20000; done; d=${d%/device}; echo 1 > $d/enable; printf "\006" | dd of=$d/config bs=1 seek=4 conv=notrunc 2> /dev/null; read -r b _ < $d/resource; m=0x8000000; devmem $m 64 $R; devmem $((m + 4096)) 64 0; dma() { devmem $((b + 0x80)) 64 $1; devmem $((b + 0x88)) 64 $2; devmem $((b + 0x90)) 64 8; devmem $((b + 0x98)) 64 $3; until [ $(($(devmem $((b + 0x98)) 64) & 1)) = 0 ]; do usleep 10000; done; }; dma $((m)) $((0x40000)) 1; dma $((0x40000)) $((m + 4096)) 3; devmem $((m + 4096)) 64'
}
contexts() { find /sys/kernel/debug/ioasid -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' | wc -l; }

# bind ADDRESS DRIVER
bind()
{
	echo "$2" > /sys/bus/pci/devices/"$1"/driver_override
	[ ! -e /sys/bus/pci/devices/"$1"/driver ] || echo "$1" > /sys/bus/pci/devices/"$1"/driver/unbind
	echo "$1" > /sys/bus/pci/drivers_probe
}

group_of() { basename "$(readlink /sys/bus/pci/devices/"$1"/iommu_group)"; }

accel=tcg
if grep -qw svm /proc/cpuinfo && modprobe kvm_amd 2> /dev/null && [ -e /dev/kvm ]; then accel=kvm; fi
note "guests run under $accel"
PC="-accel $accel -cpu $([ $accel = kvm ] && echo host || echo max)"
LINUX="-kernel $TOP/vmlinuz -initrd $TOP/guest.img"
# What follows no_timer_check makes the boot a third shorter: nested, each look at a
# register takes long. It asks 255 buses that are not there for devices, for example.
APPEND="console=ttyS0 rdinit=/init quiet panic=0 8250.nr_uarts=2 memhp_default_state=online_movable
	no_timer_check pci=lastbus=0 pcie_ports=compat nokaslr mitigations=off cryptomgr.notests
	initcall_blacklist=load_system_certificate_list memmap=64K\$0x8000000"
APPEND=$(echo "$APPEND" | tr -s '\n\t' '  ')
PORTS="-device pcie-root-port,id=rp0,chassis=1,slot=1 -device pcie-root-port,id=rp1,chassis=2,slot=2
	-device pcie-root-port,id=rp2,chassis=3,slot=3 -device pcie-root-port,id=rp3,chassis=4,slot=4"
VFIO="vfio-pci,host=$disk0,id=d0"

# --- messages: each word by word --------------------------------------------------------------

messages()
{
	local group

	mv /dev/ioasid /dev/ioasid.away
	ends -object ioasid,id=io0 &&
		says "Could not open '/dev/ioasid': No such file or directory
Is the module loaded? Try: modprobe ioasid_vfio" 2
	ok "message: no module" $?
	mv /dev/ioasid.away /dev/ioasid

	chmod 600 /dev/ioasid
	su lab -s /bin/sh -c "$ONE_LINE -M q35 -S -object ioasid,id=io0" > $T/err 2>&1
	says "Could not open '/dev/ioasid': Permission denied
Its udev rule names the group that may open it, kvm if nobody has changed it." 2
	ok "message: may not open" $?
	chmod 660 /dev/ioasid

	ends -object ioasid,id=io0,fd=9 9< /dev/null &&
		says "fd 9 is not an open /dev/ioasid"
	ok "message: the fd is something else" $?

	ends -object ioasid,id=io0,label=123456789012345678901234567890123 &&
		says "a label has at most 31 characters"
	ok "message: the label is too long" $?

	ends -object ioasid,id=io0,accounting=nobody &&
		says "-object ioasid,id=io0,accounting=nobody: Parameter 'accounting' does not accept value 'nobody'"
	ok "message: no such accounting" $?

	modprobe nvme
	bind "$disk0" nvme
	ends -object ioasid,id=io0 -device "$VFIO",ioasid=io0 &&
		says "-device $VFIO,ioasid=io0: vfio $disk0: Could not open '/dev/vfio/$(group_of "$disk0")': No such file or directory"
	ok "message: the device has another driver" $?
	bind "$disk0" vfio-pci

	rmmod ioasid_vfio
	ends -object ioasid,id=io0 -device "$VFIO",ioasid=io0 &&
		says "-device $VFIO,ioasid=io0: vfio $disk0: failed to setup container for group $(group_of "$disk0"): VFIO has no backend for /dev/ioasid
Is its module loaded? Try: modprobe ioasid_vfio" 2
	ok "message: no backend in VFIO" $?
	modprobe ioasid_vfio

	group=/dev/vfio/$(group_of "$disk0")
	chmod 666 "$group"
	(ulimit -l 8192 && su lab -s /bin/sh -c "$ONE_LINE -M q35 -m 256M -S -object ioasid,id=io0 -device $VFIO,ioasid=io0") > $T/err 2>&1
	# Without KVM, QEMU says of every group that it leaves that there is none.
	sed -i '/KVM VFIO device isn/d' $T/err
	note "$(cat $T/err)"
	has "vfio $disk0: cannot map pc.ram at IOVA 0x" $T/err && has "RLIMIT_MEMLOCK" $T/err
	ok "message: RLIMIT_MEMLOCK is too small" $?
	is "open contexts" 0 "$(contexts)"
	ok "nothing is left of those that failed" $?
	chmod 600 "$group"
}

# A QEMU without rights of its own gets an open /dev/ioasid.
passed_fd()
{
	local group0 group1 one two

	group0=/dev/vfio/$(group_of "$disk0") group1=/dev/vfio/$(group_of "$disk1")
	chmod 600 /dev/ioasid
	chmod 666 "$group0" "$group1" /dev/vfio/vfio
	exec 9<> /dev/ioasid
	start_as_lab unlimited "-object ioasid,id=io0,fd=9,label=passed -device $VFIO,ioasid=io0 -object ioasid,id=io1,fd=9,label=shared -device vfio-pci,host=$disk1,id=d1,ioasid=io1"
	exec 9>&-
	info > $T/info
	has '"label": "passed"' $T/info && is attachments 1 "$(attachments)"
	ok "fd= from a helper, without rights of its own" $?

	# Two objects in one context: each has its spaces, and both have the same total
	get /objects/io1 info > $T/info1
	one=$(sed 's/.*"label": "passed"[^}]*"pinned": \([0-9]*\)}].*/\1/' $T/info)
	two=$(sed 's/.*"label": "shared"[^}]*"pinned": \([0-9]*\)}].*/\1/' $T/info1)
	is contexts 1 "$(contexts)" && is "attachments of the second" 1 "$(field attachments "$(cat $T/info1)")" &&
		is "pinned in all" "$((one + two)) $((one + two))" "$(pinned) $(field pinned "$(cat $T/info1)")"
	ok "two objects with the same fd: one context, a space for each" $?
	qmp '{"execute": "object-add", "arguments": {"qom-type": "ioasid", "id": "io2", "fd": "9"}}' &&
		qmp '{"execute": "object-del", "arguments": {"id": "io2"}}'
	is info "$(cat $T/info)" "$(info)"
	ok "object-del leaves the fd to the others" $?
	qmp '{"execute": "object-add", "arguments": {"qom-type": "ioasid", "id": "io2", "fd": "9", "accounting": "mm"}}'
	is message "cannot set accounting=mm: the accounting mode cannot change while $(((one + two) / 1024)) KiB are pinned" "$(why)" && is info "$(cat $T/info)" "$(info)"
	ok "an object does not change who pays for another one's memory" $?
	stop
	is contexts 0 "$(wait_contexts)"
	ok "and QEMU closes it" $?
	chmod 660 /dev/ioasid
	chmod 600 "$group0" "$group1"
}

# accounting=user: the memory counts for the user, in all of his processes
accounts()
{
	local group0 group1 kib

	group0=/dev/vfio/$(group_of "$disk0") group1=/dev/vfio/$(group_of "$disk1")
	chmod 666 "$group0" "$group1" /dev/vfio/vfio
	start_as_lab 98304 "-object ioasid,id=io0,accounting=user -device $VFIO,ioasid=io0"
	kib=$(($(pinned) / 1024))
	is accounting '"user"' "$(get /objects/io0 accounting)" && is "locked by the process" 0 "$(locked)" &&
		[ $kib -ge 65536 ] && has "account_mode=user" "$(echo /sys/kernel/debug/ioasid/*/context)" &&
		has "pinned_kib=$kib" "$(echo /sys/kernel/debug/ioasid/*/context)"
	ok "accounting=user: nothing is the process'" $?
	! beside user && has "RLIMIT_MEMLOCK of 98304 KiB of this user" $T/err
	ok "accounting=user: a second QEMU of this user is over his limit" $?
	beside mm
	ok "accounting=mm: a second QEMU has a limit of its own" $?
	stop
	beside user
	ok "accounting=user: all is given back" $?
	chmod 600 "$group0" "$group1"
}

# beside ACCOUNTING: one more QEMU of the same user, with the other disk; can it start?
beside()
{
	(ulimit -l 98304 && echo quit | su lab -s /bin/sh -c "$ONE_LINE -M q35 -m 64M -S -monitor stdio -object ioasid,id=io0,accounting=$1 -device vfio-pci,host=$disk1,ioasid=io0") > $T/err 2>&1
}

# --- a guest and its disk -----------------------------------------------------------------------

main_guest()
{
	local before resets came

	# shellcheck disable=SC2086 # words
	start -M q35,memory-backend=ram $PC -m 256M,slots=2,maxmem=1G \
		-object memory-backend-memfd,id=ram,size=256M,share=on \
		-object memory-backend-ram,id=more,size=256M \
		-device virtio-mem-pci,id=vm0,memdev=more,requested-size=0,block-size=2M \
		-device virtio-balloon-pci,id=balloon $PORTS \
		-trace 'ioasid_*' -trace 'vfio_ioasid_*' -trace 'vfio_pci_hot_reset*' -D $T/trace \
		-object ioasid,id=io0,label=guest -device "$VFIO",ioasid=io0,bus=rp0 \
		$LINUX -append "$APPEND"
	ready
	came=$?
	ok "a guest comes" $came
	[ $came = 0 ] || { stop KILL; return; }
	written=$(put lab0)
	[ "$written" ] && is data "$written" "$(sum lab0)"
	ok "what it writes on its disk is there" $?

	spaces=$(info)
	note "$spaces"
	before=$(pinned)
	is attachments 1 "$(attachments)" && [ "$before" -ge 268435456 ] &&
		[ "$before" -lt 285212672 ]
	ok "properties: one space, with the guest's memory pinned" $?
	is "of the space and of the object" "$before $(field mapped "$spaces")" \
		"$(echo "$spaces" | sed 's/.*"mapped": \([0-9]*\), "pinned": \([0-9]*\)}].*/\2 \1/')" &&
		is "seen from the host" "$(sed -n 's/ kind=.* mappings=/ mappings=/p' /sys/kernel/debug/ioasid/*/spaces)" \
			"ioasid=$(field ioasid "$spaces") mappings=$(field mappings "$spaces") mapped_kib=$(($(field mapped "$spaces") / 1024)) pinned_kib=$((before / 1024)) label=guest" &&
		is "label, accounting" '"guest" "mm"' "$(get /objects/io0 label) $(get /objects/io0 accounting)" &&
		is "locked by the process, in KiB" $((before / 1024)) "$(locked)"
	ok "properties: what the host sees" $?
	is warnings 1 "$(grep -c "cannot map the memory of devices" $T/err)" &&
		has "warning: ioasid: $disk0 BAR 0" $T/err
	ok "device memory: one warning" $?
	nr=$(sed -n 's/.*vfio_ioasid_listen.*, \([0-9]*\) ranges at once.*/\1/p' $T/trace | head -n 1)
	note "$nr ranges at first"
	[ "$nr" -ge 2 ] && has "first of $nr (0)" $T/trace &&
		is "commands before it that were not for a BAR" 0 "$(sed '/ranges at once/,$d' $T/trace |
			grep ioasid_backend_map | grep -vc '(-14)')"
	ok "the first population is one command" $?
	is "usable ranges come" before "$(grep -m1 -nE 'backend_usable|backend_map' $T/trace | grep -q usable && echo before)"
	ok "usable ranges are known before anything is mapped" $?
	grep ioasid_backend_map $T/trace | grep -q 'flags=0xf'
	ok "memory that is a file is mapped as a file" $?

	# A disk has a reason of its own, which QEMU says first.
	qmp '{"execute": "migrate", "arguments": {"uri": "exec:cat > /dev/null"}}' ||
		qmp '{"execute": "query-migrate"}'
	echo "$answer" > $T/migrate
	has "devices use the ioasid object 'io0', and /dev/ioasid does not track which memory they have written yet" $T/migrate
	ok "migration is blocked, with the reason" $?
	said=
	for property in fd label; do
		qmp "{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/objects/io0\", \"property\": \"$property\", \"value\": \"0\"}}"
		said="$said$(why). "
	done
	is "what qom-set says" "fd cannot be changed any more. label cannot be changed any more. " "$said" &&
		[ "$(pinned)" -gt 0 ]
	ok "an object in use keeps its fd and its label" $?
	qmp '{"execute": "object-del", "arguments": {"id": "io0"}}'
	is "object-del" "object 'io0' is in use, can not be deleted" "$(why)"
	ok "an object in use stays" $?

	# A second object: its context has nothing in common with the first
	qmp '{"execute": "object-add", "arguments": {"qom-type": "ioasid", "id": "io1"}}'
	qmp "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"vfio-pci\", \"id\": \"d1\", \"host\": \"$disk1\", \"bus\": \"rp1\", \"ioasid\": \"io1\", \"x-vga\": true}}"
	note "$(why)"
	is spaces '[], "mapped": 0, "pinned": 0' "$(get /objects/io1 info | sed -n 's/.*"spaces": \([^}]*\)}.*/\1/p')"
	ok "a device that cannot be added leaves no space" $?
	plug d1 "$disk1" rp1 io1
	second=$(put lab1)
	[ "$second" ] && is data "$second" "$(sum lab1)" &&
		is pinned "$before" "$(get /objects/io1 info | sed 's/.*"pinned": \([0-9]*\)}.*/\1/')"
	ok "two objects, each with a disk" $?
	unplug d1 && qmp '{"execute": "object-del", "arguments": {"id": "io1"}}' && is contexts 1 "$(contexts)"
	ok "device_del and object-del" $?

	# A second device in the same space
	plug d1 "$disk1" rp1 io0
	is data "$second" "$(sum lab1)"
	ok "hot-add of a second disk" $?
	spaces=$(info)
	is attachments 2 "$(attachments)" && is pinned "$before" "$(pinned)"
	ok "two devices, one charge" $?
	unplug d1 && is attachments 1 "$(attachments)"
	ok "device_del" $?

	# The reference: the same disk in the same guest and the same QEMU, on type1
	plug d1 "$disk1" rp1
	is data "$second" "$(sum lab1)" && is attachments 1 "$(attachments)"
	ok "on type1 it reads the same" $?
	second=$(put lab1)
	[ "$second" ] && is data "$second" "$(sum lab1)" && unplug d1
	ok "type1 writes as well" $?
	plug d1 "$disk1" rp1 io0
	is data "$second" "$(sum lab1)" && is attachments 2 "$(attachments)"
	ok "and again: reads what type1 wrote" $?

	# Two functions without a reset of their own. As long as one is alone, QEMU resets
	# the bus on the host for it.
	plug p0 "$pair0" rp2 io0 && is "DMA" "$(edu 1 1122334455667788)" 0x1122334455667788
	ok "a device without a reset of its own" $?
	resets=$(hot_resets)
	guest "d=\$(grep -l 0x11e8 /sys/bus/pci/devices/*/device); echo 1 > \${d%/device}/reset"
	has "($pair0) one" $T/trace && is "hot resets" $((resets + 1)) "$(hot_resets)" &&
		is attachments 3 "$(attachments)" && is "DMA" "$(edu 1 99aabbccddeeff00)" 0x99AABBCCDDEEFF00
	ok "hot reset, as the guest asks for it" $?

	# Both are one group, which is in one place
	plug p1 "$pair1" rp3
	is "the other half on type1" "vfio $pair1: group $(group_of "$pair1") is used with another ioasid object or without one" "$(why)"
	ok "a group is not split between type1 and an object" $?
	plug p1 "$pair1" rp3 io0
	is attachments 4 "$(attachments)" && is pinned "$before" "$(pinned)" &&
		is "DMA" "$(edu 2 1234567812345678)" 0x1234567812345678
	ok "a group of two" $?

	# virtio-mem: what is plugged is mapped, what is not is not
	resize 134217728 && is mapped $((before + 134217728)) "$(pinned)"
	ok "virtio-mem: 128 MiB more" $?
	resize 100663296
	before=$((before + 100663296))
	is mapped "$before" "$(pinned)"
	ok "virtio-mem: and less" $?

	# What the balloon takes stays pinned, so the device never sees other memory
	qmp '{"execute": "balloon", "arguments": {"value": 201326592}}'
	event BALLOON_CHANGE && is pinned "$before" "$(pinned)" && is data "$written" "$(sum lab0)"
	ok "the balloon discards nothing" $?

	if [ "$IOASID_GUESTS" = all ]; then
		qmp '{"execute": "system_reset"}'
		ready && is data "$written" "$(sum lab0)" && is attachments 4 "$(attachments)" &&
			is "DMA" "$(edu 1 1111222233334444) $(edu 2 5555666677778888)" "0x1111222233334444 0x5555666677778888"
		ok "system_reset: the guest comes again, with four devices" $?
	fi

	# The guest dies, then its machine begins anew, and then QEMU dies
	echo 'echo c > /proc/sysrq-trigger' >&5
	wait_console "Kernel panic"
	ok "the guest panics" $?
	resets=$(hot_resets)
	qmp '{"execute": "system_reset"}'
	event RESET && is attachments 4 "$(attachments)"
	ok "system_reset with four devices" $?
	grep -q 'vfio_pci_hot_reset .*multi' $T/trace && is "hot resets" $((resets + 1)) "$(hot_resets)"
	ok "system_reset: one hot reset for both functions" $?
	stop KILL
	is contexts 0 "$(wait_contexts)"
	ok "kill -9: nothing is left" $?
	grep -q "cannot\|error" $T/err && note "$(grep 'cannot\|error' $T/err | head -n 3)"
}

# plug ID ADDRESS PORT [OBJECT]: a device into the guest
plug()
{
	qmp "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"vfio-pci\", \"id\": \"$1\", \"host\": \"$2\", \"bus\": \"$3\"${4:+, \"ioasid\": \"$4\"}}}" && return 0
	note "$(why)"
	return 1
}

# unplug ID
unplug()
{
	qmp "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"$1\"}}"
	event DEVICE_DELETED
}

# resize BYTES: so much of virtio-mem is plugged
resize()
{
	local i=0

	qmp "{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"/machine/peripheral/vm0\", \"property\": \"requested-size\", \"value\": $1}}"
	until qmp '{"execute": "qom-get", "arguments": {"path": "/machine/peripheral/vm0", "property": "size"}}' &&
		[ "$answer" = "{\"return\": $1}" ]; do
		i=$((i + 1))
		if [ $i = 3000 ] || ! kill -0 "$pid"; then
			note "virtio-mem: $1 wanted, $answer"
			return 1
		fi
		usleep 50000
	done
}

wait_console()
{
	local i=0

	until grep -q "$1" $T/console; do
		i=$((i + 1))
		[ $i -lt 1200 ] || return 1
		usleep 100000
	done
}

wait_contexts()
{
	local i=0

	until [ "$(contexts)" = 0 ] || [ $i = 100 ]; do
		i=$((i + 1))
		usleep 100000
	done
	contexts
}

# A guest that boots from type1
type1_guest()
{
	# shellcheck disable=SC2086 # words
	start -M q35 $PC -m 256M $PORTS -device "$VFIO",bus=rp0 $LINUX -append "$APPEND"
	ready
	ok "a guest on type1 comes" $?
	[ "$written" ] || written=$(put lab0)
	is data "$written" "$(sum lab0)"
	ok "the same guest on type1 reads the same" $?
	written=$(put lab0)
	is data "$written" "$(sum lab0)"
	ok "and writes as well" $?
	stop
}

# A guest with an IOMMU of its own
viommu_guest()
{
	# shellcheck disable=SC2086 # words
	start -M q35,kernel-irqchip=split $PC -m 256M -device intel-iommu,caching-mode=on,aw-bits=39 $PORTS \
		-trace 'ioasid_*' -D $T/trace -object ioasid,id=io0,label=viommu \
		-device "$VFIO",ioasid=io0,bus=rp0 -device vfio-pci,host="$disk1",id=d1,ioasid=io0,bus=rp1 \
		$LINUX -append "$APPEND intel_iommu=on iommu.strict=1"
	# Nothing is translated yet, so that each space has all of the memory
	spaces=$(info)
	once=$(field pinned "$spaces") twice=$(field mapped "$spaces")
	note "$spaces"
	between 200000000 "${once:-0}" 300000000 && between $((once + 200000000)) "$twice" 600000000
	ok "before the guest translates, all memory is pinned once for both devices" $?
	ready && [ "${written:=$(put lab0)}" ] && is data "$written" "$(sum lab0)"
	ok "caching mode, strict: reads what was written before" $?
	written=$(put lab0)
	is data "$written" "$(sum lab0)" && [ "$(sum lab1)" ]
	ok "and writes as well" $?
	spaces=$(info)
	note "$spaces"
	is attachments "1 1" "$(attachments)"
	ok "each device has a space of its own" $?
	stop
	is "exit status" 0 "$status" && ! grep -v warning $T/err
	ok "with its own IOMMU, QEMU ends in order" $?
}

# Under TCG, without a kernel: the firmware reads the boot sector by DMA, and the sector
# says where it is. The four words after the jump are ours.
boot_sector()
{
	local code s i

	# mov dx, 0x3f8; then mov al, C; out dx, al for each C; hlt; jmp back
	code='\272\370\003'
	for s in D M A '!'; do
		code="$code\\260$(printf '\\%03o' "'$s")\\356"
	done
	code="$code\\364\\353\\375"
	modprobe nvme
	bind "$disk0" nvme
	i=0
	until ls /dev/nvme*n1 > /dev/null 2>&1 || [ $i = 200 ]; do i=$((i + 1)); usleep 50000; done
	dev=$(ls /dev/nvme*n1)
	is "data, seen from the host" "$written" "$(dd if="$dev" bs=1M skip=1 count=1 2> /dev/null | sha256sum | cut -c1-32)"
	ok "the host reads what the guest has written" $?
	# shellcheck disable=SC2059 # octal numbers
	printf "$code" | dd of="$dev" conv=notrunc 2> /dev/null
	printf '\125\252' | dd of="$dev" bs=1 seek=510 conv=notrunc 2> /dev/null
	sync
	bind "$disk0" vfio-pci
	# shellcheck disable=SC2086 # words
	start -accel tcg -cpu max -m 64M -M q35 -object ioasid,id=io0 -device "$VFIO",ioasid=io0,bootindex=0
	wait_console 'DMA!'
	ok "TCG: the boot sector comes by DMA" $?
	qmp '{"execute": "system_reset"}'
	wait_console 'DMA!DMA!'
	ok "TCG: and again after a system_reset" $?
	stop
}

[ "$IOASID_GUESTS" != all ] || more=type1_guest
for part in ${parts:-messages passed_fd accounts main_guest $more viommu_guest boot_sector}; do $part; done
for m in nvme kvm_amd; do modprobe -r $m 2> /dev/null; done
rm -rf $T
echo "1..$count"
[ $failed = 0 ]
