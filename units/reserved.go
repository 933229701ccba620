package units

import "strings"

// Reserved returns an error if n is a name that belongs to the host's system
// software, to systemd or to flotilla itself, which no user may submit.
func Reserved(n Name) error {
	for _, prefix := range [...]string{"systemd-", "dbus", "flotilla"} {
		if strings.HasPrefix(string(n), prefix) {
			return &Error{
				File: string(n), Msg: "names that begin with " + prefix + " are reserved",
				Hint: "choose another name",
			}
		}
	}
	if special(n) {
		return &Error{File: string(n), Msg: "this unit is systemd's own on every host", Hint: "choose another name"}
	}
	return nil
}

// special reports whether systemd gives the name a meaning of its own, as
// systemd.special(7) lists them: how a host boots, sleeps and ends, and the
// roots of its mounts and control groups.
func special(n Name) bool {
	switch n.Type() {
	case "mount":
		return n == "-.mount"
	case "slice":
		return specialSlice(n.stem())
	case "target":
		return specialTarget(n.stem())
	}
	return false
}

func specialSlice(stem string) bool {
	switch stem {
	case "-", "system", "user", "machine", "capsule", "app", "background", "session":
		return true
	}
	return false
}

func specialTarget(stem string) bool {
	if strings.HasPrefix(stem, "initrd") || strings.HasPrefix(stem, "runlevel") {
		return true
	}
	switch stem {
	case "basic", "boot-complete", "default", "emergency", "first-boot-complete", "getty", "getty-pre", "graphical",
		"multi-user", "rescue", "sysinit", "system-update", "system-update-pre": // how it boots
		return true
	case "ctrl-alt-del", "exit", "factory-reset", "final", "halt", "kbrequest", "kexec", "poweroff", "reboot", "shutdown",
		"sigpwr", "soft-reboot", "umount", "storage-target-mode": // how it ends
		return true
	case "hibernate", "hybrid-sleep", "sleep", "suspend", "suspend-then-hibernate":
		return true
	case "cryptsetup", "cryptsetup-pre", "integritysetup", "integritysetup-pre", "local-fs", "local-fs-pre",
		"remote-cryptsetup", "remote-fs", "remote-fs-pre", "remote-integritysetup", "remote-veritysetup", "swap", "tpm2",
		"veritysetup", "veritysetup-pre": // its disks
		return true
	case "network", "network-online", "network-pre", "nss-lookup", "nss-user-lookup", "rpcbind", "ssh-access",
		"time-set", "time-sync":
		return true
	case "machines", "paths", "slices", "sockets", "timers", "bluetooth", "printer", "smartcard", "sound", "usb-gadget",
		"graphical-session", "graphical-session-pre", "xdg-desktop-autostart":
		return true
	}
	return false
}
