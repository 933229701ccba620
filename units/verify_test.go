package units

import (
	"strings"
	"testing"
)

// goodFiles are files that systemd loads; the name of each is before the bar.
func goodFiles() map[Name][]string {
	return map[Name][]string{
		"web.service": {
			"[Service]\nExecStart=/bin/true\n",
			"[Service]\nExecStart=true\n",
			"[Service]\nExecStart=-@/bin/true web a\n",
			"[Service]\nExecStart=-bin/true\nExecStart=\nExecStart=/bin/true\n",
			"[Service]\nExecStart=\"/bin/true\" \"a ; b\"\n",
			"[Service]\nExecStart=/bin/echo a \\; b;c\n",
			"[Service]\nExecStart=%h/bin/true\n",
			"[Service]\nType=oneshot\nExecStart=/bin/true\nExecStart=/bin/true ; /bin/true\nRestart=on-failure\n",
			"[Service]\nRemainAfterExit=1\nExecStop=/bin/true\n",
			"[Unit]\nSuccessAction=reboot\n[Service]\nType=oneshot\n",
			"[Service]\nType=dbus\nBusName=org.example.Web\nExecStart=/bin/true\n",
			"[Service]\nType=\nRestart=\nExecStart=/bin/true\nNoSuchOption=1\n[NoSuchSection]\na=b\n[Init]\n[Socket]\n[Swap]\n[X-Other]\nc=d\n[X-Service]\n",
			"\uFEFF# comment\n[Service]\r\nExecStart=/bin/true\r\n",
			"[Service]\nKillMode=process\nExecStart=/usr/bin/docker run x\n",
		},
		"conf.service": {
			"[Service]\nExecStart=/bin/true\n[X-Fleece]\nGlobal=maybe\n[X-Sleet]\n[X-Foobar]\n[X-Flow]\n[Install]\n",
			"[Service]\nExecStart=/bin/true\n[X-Flotilla]\nConflicts=web@*.service web* *ice *.socket a[0-9].service a[!b]*.timer a?.service x@a\\x2db.service *\\x2d*\n",
			"[Service]\nExecStart=/bin/true\n[X-Flotilla]\nMachineID=\"0123abcd\"\n",
			"[Service]\nExecStart=/bin/true\n[X-Flotilla]\nMachineMetadata=\"rack=row #2\" \"owner='s\"\nMachineMetadata=owner=O'Brien\nMachineMetadata=\"owner=!x\"\n",
			"[Unit]\nConflicts=other.service\n[Service]\nExecStart=/bin/grep \\\n[a]\n[X-Other]\nFence=perhaps\n[X-Flotilla]\nConflicts=web@[0-9].s?rvice *.servic[ae]\n",
			"[Service]\nExecStart=/bin/true\n#" + strings.Repeat("x", MaxContent-38) + "\n",
		},
		"web@.service":      {"[Service]\nExecStart=/bin/true %i\n[X-Flotilla]\nMachineMetadata=host=%i\nMachineOf=db@%i.service\n", "[Service]\nExecStart=/bin/true\n[X-Flotilla]\nMachineID=%i\n"},
		"web@3.service":     {"[Service]\nExecStart=/bin/true\n[X-Flotilla]\nMachineMetadata=host=%i\nMachineID=0123456789abcdef0123456789abcdef\n"},
		"web.socket":        {"[Socket]\nListenStream=80\n", "[Socket]\nListenFIFO=/run/x\n"},
		"web.timer":         {"[Timer]\nOnCalendar=daily\n", "[Timer]\nOnBootSec=1min\nOnBootSec=\nOnUnitActiveSec=1min\n"},
		"web.path":          {"[Path]\nPathExistsGlob=/run/*\n"},
		"srv.mount":         {"[Mount]\nWhat=tmpfs\nWhere=/srv\nType=tmpfs\n"},
		"srv.automount":     {"[Automount]\nWhere=/srv\n"},
		"web.target":        {"# nothing but a comment\n", "[Unit]\nDescription=Web\n"},
		"web-workers.slice": {"[Slice]\nMemoryMax=1G\n"},
	}
}

func TestVerifyAccepts(t *testing.T) {
	for name, files := range goodFiles() {
		for _, in := range files {
			if err := Verify(name, []byte(in)); err != nil {
				t.Errorf("Verify(%s, %q) = %v, want no error", name, in, err)
			}
		}
	}
}
