package units

import (
	"fmt"
	"strings"
	"testing"
)

// badInput is something a user might write, with the one line that answers it.
type badInput struct{ name, in, want string }

// manyPeers names as many units in MachineOf, one to a line.
func manyPeers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "MachineOf=db%d.service\n", i)
	}
	return b.String()
}

func badNames() []badInput {
	return []badInput{
		{"empty", "", `unit name is empty (write a full name such as web.service)`},
		{"no type", "web", `web: unit name has no type (did you mean web.service?)`},
		{"misspelt type", "web.servce", `web.servce: unknown unit type "servce" (did you mean web.service?)`},
		{"unknown type", "web.exe", `web.exe: unknown unit type "exe" (flotilla manages service, socket, timer, path, mount, automount, target, slice)`},
		{"ends in a dot", "web.", `web.: unit name ends in a dot (did you mean web.service?)`},
		{"suffix alone", ".service", `.service: unit name is only a suffix (write a full name such as web.service)`},
		{"path", "dir/web.service", `dir/web.service: column 4: "/" may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)`},
		{"blank", "my web.service", `"my web.service": column 3: " " may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)`},
		{"line break", "web\n.service", `"web\n.service": column 4: "\n" may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)`},
		{"unexpanded", "web@{1..3}.service", `web@{1..3}.service: column 5: "{" may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)`},
		{"not ascii", "büro.service", `büro.service: column 2: "ü" may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)`},
		{"no template", "@3.service", `@3.service: unit name starts with @ (write the template's name before it, such as web@3.service)`},
		{"too long", strings.Repeat("a", 300) + ".service", `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: unit name has 308 bytes, 253 is the most (its folder NAME.d has two more) (shorten it)`},
		{"one byte too long", strings.Repeat("a", 246) + ".service", `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: unit name has 254 bytes, 253 is the most (its folder NAME.d has two more) (shorten it)`},
		{"device", "sda.device", `sda.device: device units are made by the kernel and cannot be submitted (flotilla manages service, socket, timer, path, mount, automount, target, slice)`},
		{"scope", "a.scope", `a.scope: scope units are made by running programs and cannot be submitted (flotilla manages service, socket, timer, path, mount, automount, target, slice)`},
		{"swap", "a.swap", `a.swap: swap units belong to a host's own disks and are not managed (flotilla manages service, socket, timer, path, mount, automount, target, slice)`},
		{"snapshot", "a.snapshot", `a.snapshot: snapshot units no longer exist in systemd (flotilla manages service, socket, timer, path, mount, automount, target, slice)`},
		{"templated mount", "srv@1.mount", `srv@1.mount: mount units cannot be templates (their name is the escaped path of the mount point; see systemd-escape --path)`},
		{"templated slice", "a@b.slice", `a@b.slice: slice units cannot be templates (name each slice in full)`},
		{"slice dashes", "a--b.slice", `a--b.slice: a slice name is a path of parts joined by single dashes (remove the leading, trailing or double dash)`},
		{"prefix of others", "ssh-.service", `ssh-.service: unit name has a dash before its type or @ (remove the dash: systemd would give what belongs to it to every unit whose name begins with ssh-)`},
	}
}

func badPatterns() []badInput {
	return []badInput{
		{"open", "web@{1..3.service", `web@{1..3.service: column 5: "{" is never closed (add the closing })`},
		{"close", "web@1..3}.service", `web@1..3}.service: column 9: "}" closes nothing (add { before it or remove it)`},
		{"no list", "web@{1-3}.service", `web@{1-3}.service: column 5: "{1-3}" is neither a range of numbers nor a list (write {1..3} or {a,b})`},
		{"empty", "web{}.service", `web{}.service: column 4: "{}" is neither a range of numbers nor a list (write {1..3} or {a,b})`},
		{"too many", "web@{1..1000}-{1..1000}.service", `web@{1..1000}-{1..1000}.service: column 5: pattern stands for more than 1000 names (narrow a range)`},
	}
}

// badFiles are checked by Verify under the name before the first bar of their own name.
func badFiles() []badInput {
	const ok = "[Service]\nExecStart=/bin/true\n"
	const xf = ok + "[X-Flotilla]\n"
	return []badInput{
		{"systemd-x.service|reserved", ok, `systemd-x.service: names that begin with systemd- are reserved (choose another name)`},
		{"reboot.target|special", "[Unit]\nDescription=x\n", `reboot.target: this unit is systemd's own on every host (choose another name)`},
		{"dbus.service|reserved", ok, `dbus.service: names that begin with dbus are reserved (choose another name)`},
		{"web.service|empty", "", `web.service:1: file is empty, which systemd takes for a masked unit (write at least a [Unit] section)`},
		{"web.service|before the first section", "ExecStart=/bin/true\n" + ok, `web.service:1: text before the first section (put a header such as [Service] above it)`},
		{"web.service|no equals sign", ok + "Restart always\n", `web.service:3: no = in this line (write Name=value, or # before a comment)`},
		{"web.service|blank after backslash", "[Service]\nExecStart=/bin/echo \\ \n  hello\n", `web.service:3: no = in this line (remove the blanks after the backslash on line 2)`},
		{"web.service|no name", ok + "=x\n", `web.service:3: no option name before the = (write Name=value)`},
		{"web.service|header not closed", "[Service\nExecStart=/bin/true\n", `web.service:1: section header "[Service" does not end in ] (write [Service] alone on its line)`},
		{"web.service|comment after header", "[Service] # x\nExecStart=/bin/true\n", `web.service:1: section header "[Service] # x" does not end in ] (nothing may follow the ], not even a comment)`},
		{"web.service|empty section", ok + "[ ]\n", `web.service:3: section name is empty (write a section such as [Service])`},
		{"web.service|bad section", ok + "[a\"b]\n", `web.service:3: section name "a\"b" holds a character that systemd refuses (remove quotes, backslashes and control characters)`},
		{"web.service|include", ".include /etc/x\n" + ok, `web.service:1: .include no longer exists in systemd (copy the text of that file into this one)`},
		{"web.service|NUL", "[Service]\nExecStart=/bin/true\x00\n", `web.service:2: NUL byte (remove it; a unit file is plain text)`},
		{"web.service|latin 1", "[Unit]\nDescription=b\xfcro\n" + ok, `web.service:2: text is not valid UTF-8 (save the file as UTF-8)`},
		{"web.service|both sections", ok + "[X-Fleet]\nGlobal=yes\n[X-Flotilla]\nGlobal=yes\n", `web.service:5: [X-Flotilla] on line 5 and [X-Fleet] on line 3 cannot stand in one file (move all options into [X-Flotilla])`},
		{"web.service|section misspelt", ok + "[X-Flotila]\nGlobal=yes\n", `web.service:3: unknown section [X-Flotila] (write [X-Flotilla])`},
		{"web.service|section in lower case", ok + "[x-fleet]\nGlobal=yes\n", `web.service:3: unknown section [x-fleet] (write [X-Fleet])`},
		{"web.service|section with underscore", ok + "[X_Fleet]\nGlobal=yes\n", `web.service:3: unknown section [X_Fleet] (write [X-Fleet])`},
		{"web.service|section lacks a letter", ok + "[X-Flet]\nGlobal=yes\n", `web.service:3: unknown section [X-Flet] (write [X-Fleet])`},
		{"web.service|section lacks the dash", ok + "[XFleet]\nGlobal=yes\n", `web.service:3: unknown section [XFleet] (write [X-Fleet])`},
		{"web.service|section with letters exchanged", ok + "[X-Felet]\nGlobal=yes\n", `web.service:3: unknown section [X-Felet] (write [X-Fleet])`},
		{"web.service|section with two dashes", ok + "[X--Flotila]\nGlobal=yes\n", `web.service:3: unknown section [X--Flotila] (write [X-Flotilla])`},
		{"web.service|section with blanks", ok + "[X-Flotilla ]\nGlobal=yes\n", `web.service:3: unknown section [X-Flotilla ] (write [X-Flotilla])`},
		{"web.service|option misspelt", ok + "[X-Flotilla]\nConflict=a.service\n", `web.service:4: unknown option Conflict in [X-Flotilla] (did you mean Conflicts=?)`},
		{"web.service|option in other case", ok + "[X-Flotilla]\nmachineof=a.service\n", `web.service:4: unknown option machineof in [X-Flotilla] (did you mean MachineOf=?)`},
		{"web.service|option unknown", ok + "[X-Flotilla]\nZone=eu\n", `web.service:4: unknown option Zone in [X-Flotilla] (options of this section: MachineID, MachineOf, MachineMetadata, Conflicts, Replaces, Global, Fence, MaxPerHost, Spread, Prefer, Memory, CPU, Runtime, Image, Handover, Reschedule, MaxUnavailable, Drain)`},
		{"web.service|old name", ok + "[X-Flotilla]\nX-Conflicts=a.service\n", `web.service:4: X-Conflicts= is an old name that only [X-Fleet] knows (write Conflicts=)`},
		{"web.service|fence in old section", ok + "[X-Fleet]\nFence=yes\n", `web.service:4: Fence= is not an option of [X-Fleet] (rename the section to [X-Flotilla])`},
		{"web.service|metadata without value", ok + "[X-Flotilla]\nMachineMetadata=region=\n", `web.service:4: MachineMetadata=region= is malformed (write a value behind it, or the key alone for any value)`},
		{"web.service|metadata without key", ok + "[X-Flotilla]\nMachineMetadata==eu\n", `web.service:4: MachineMetadata==eu is malformed (write the key of a label before the =)`},
		{"web.service|metadata in single quotes", xf + "MachineMetadata='disk=ssd'\n", `web.service:4: MachineMetadata='disk=ssd' is malformed (write key=value or "key=value"; single quotes would be part of it)`},
		{"web.service|metadata value in single quotes", xf + "MachineMetadata=disk='ssd'\n", `web.service:4: MachineMetadata=disk='ssd' is malformed (write key=value or "key=value"; single quotes would be part of it)`},
		{"web.service|metadata with a comment", xf + "MachineMetadata=disk=ssd # fast\n", `web.service:4: MachineMetadata="disk=ssd # fast" is malformed (put the comment on a line of its own, or the value in double quotes)`},
		{"web.service|metadata twice in a line", ok + "[X-Flotilla]\nMachineMetadata=a=b c=d\n", `web.service:4: MachineMetadata="a=b c=d" is malformed (write key=value, and several as "a=1" "b=2")`},
		{"web.service|quotes", ok + "[X-Flotilla]\nMachineMetadata=\"a=b\n", `web.service:4: MachineMetadata= has quotes that do not pair up around its values (write one value without quotes, or "a" "b")`},
		{"web.service|empty quotes", ok + "[X-Flotilla]\nConflicts=\"\"\n", `web.service:4: Conflicts= has an empty value (remove it or write a value)`},
		{"web.service|boolean", ok + "[X-Flotilla]\nGlobal=maybe\n", `web.service:4: Global=maybe is not a boolean (write yes or no)`},
		{"web.service|specifier", ok + "[X-Flotilla]\nMachineMetadata=host=%H\n", `web.service:4: unknown specifier "%H" in MachineMetadata= (placement options know %n %N %p %i and %%)`},
		{"web.service|lone percent", ok + "[X-Flotilla]\nMachineMetadata=load=5%\n", `web.service:4: % stands alone at the end of MachineMetadata= (write %% for a percent sign)`},
		{"web.service|instance of a plain unit", ok + "[X-Flotilla]\nMachineMetadata=host=%i\n", `web.service:4: %i has no value in MachineMetadata= because web.service is not an instance (name the file web@.service and start an instance of it)`},
		{"web.service|machine id", ok + "[X-Flotilla]\nMachineID=host-1\n", `web.service:4: MachineID=host-1 is not a machine id (write the 32 hexadecimal digits of /etc/machine-id, or the first 8)`},
		{"web.service|two machines", ok + "[X-Flotilla]\nMachineID=0123abcd\nMachineID=1123abcd\n", `web.service:5: MachineID= is set to another machine on line 4 (keep one of them, or use MachineMetadata=)`},
		{"web.service|glob in MachineOf", ok + "[X-Flotilla]\nMachineOf=db@*.service\n", `web.service:4: MachineOf= takes no globs (name each unit in full)`},
		{"web.service|too many in MachineOf", ok + "[X-Flotilla]\n" + manyPeers(65), `web.service:68: MachineOf= names 65 units, 64 is the most (name one unit that is with the others already)`},
		{"web.service|no type in MachineOf", ok + "[X-Flotilla]\nMachineOf=db\n", `web.service:4: MachineOf=db: unit name has no type (did you mean db.service?)`},
		{"web.service|template in MachineOf", ok + "[X-Flotilla]\nMachineOf=db@.service\n", `web.service:4: MachineOf=db@.service is a template, which runs nowhere (name an instance such as db@1.service)`},
		{"web.service|itself in MachineOf", ok + "[X-Flotilla]\nMachineOf=%n\n", `web.service:4: MachineOf= names the unit itself (name the unit whose host it should share)`},
		{"web.service|glob", ok + "[X-Flotilla]\nConflicts=db@[1-3.service\n", `web.service:4: Conflicts=db@[1-3.service: glob is malformed (close the set with ], as in [a-c])`},
		{"web.service|comma in Conflicts", xf + "Conflicts=a.service,b.service\n", `web.service:4: Conflicts=a.service,b.service: "," may not stand in a unit name (put a blank between two values)`},
		{"web.service|comma in a glob", xf + "Conflicts=a*.service,b*.service\n", `web.service:4: Conflicts=a*.service,b*.service: "," may not stand in a unit name or here in a glob (put a blank between two values)`},
		{"web.service|no type in Conflicts", xf + "Conflicts=web\n", `web.service:4: Conflicts=web: unit name has no type (did you mean web.service?)`},
		{"web.service|misspelt type in Conflicts", xf + "Conflicts=a.sevice\n", `web.service:4: Conflicts=a.sevice: unknown unit type "sevice" (did you mean a.service?)`},
		{"web.service|misspelt type in a glob", xf + "Conflicts=a@*.sevice\n", `web.service:4: Conflicts=a@*.sevice: unknown unit type "sevice" (did you mean a@*.service?)`},
		{"web.service|no type in a glob", xf + "Conflicts=*-web\n", `web.service:4: Conflicts=*-web: no unit name ends like this (add the type, as in *-web.service)`},
		{"web.service|no type in a glob without a star", xf + "Conflicts=web@?\n", `web.service:4: Conflicts=web@?: no unit name ends like this (add the type, as in web@?.service)`},
		{"web@.service|instance itself in MachineOf", xf + "MachineOf=web@%i.service\n", `web@.service:4: MachineOf= names the unit itself (name the unit whose host it should share)`},
		{"web.service|no-break space", xf + "MachineMetadata=disk=ssd\u00a0\n", `web.service:4: MachineMetadata="disk=ssd\u00a0" is malformed (remove the character that cannot be seen)`},
		{"web.service|blank after =", xf + "MachineMetadata=disk= ssd\n", `web.service:4: MachineMetadata="disk= ssd" is malformed (remove the blanks around the =)`},
		{"web.service|negated metadata", xf + "MachineMetadata=disk=!ssd\n", `web.service:4: MachineMetadata=disk=!ssd is malformed (write key!=value; a value that begins with ! stands in double quotes)`},
		{"web.service|option in a section of systemd's", ok + "Fence=yes\n", `web.service:3: Fence= in [Service] does nothing (write it in [X-Flotilla])`},
		{"web.service|old option in a section of systemd's", ok + "[Unit]\nX-ConditionMachineID=0123abcd\n", `web.service:4: X-ConditionMachineID= in [Unit] does nothing (write it in [X-Flotilla])`},
		{"web.service|glob in systemd's Conflicts", ok + "[Unit]\nConflicts=web@*.service\n", `web.service:4: systemd knows no globs in Conflicts= (write it in [X-Flotilla])`},
		{"web.service|section continues a line", "[Service]\nExecStart=/bin/true \\\n# why\n[X-Flotilla]\n", `web.service:4: section [X-Flotilla] is part of the line before (remove the backslash at the end of the line before)`},
		{"web.service|section with an invisible letter", ok + "[X-Flo\u200btilla]\n", `web.service:3: unknown section [X-Flo\u200btilla] (write [X-Flotilla])`},
		{"web.service|path in Conflicts", xf + "Conflicts=/x\n", `web.service:4: Conflicts=/x: "/" may not stand in a unit name (write the name of the unit without its folder)`},
		{"web.service|path in a glob", xf + "Conflicts=dir/a*\n", `web.service:4: Conflicts=dir/a*: "/" may not stand in a unit name or here in a glob (write the name of the unit without its folder)`},
		{"web.service|braces in Conflicts", xf + "Conflicts=web@{1..3}.service\n", `web.service:4: Conflicts=web@{1..3}.service: "{" may not stand in a unit name (write web@*.service; braces are for the command line)`},
		{"web.service|braces in a glob", xf + "Conflicts=web@{1..3}*.service\n", `web.service:4: Conflicts=web@{1..3}*.service: "{" may not stand in a unit name or here in a glob (write web@*.service; braces are for the command line)`},
		{"web.service|template in Conflicts", xf + "Conflicts=web@.service\n", `web.service:4: Conflicts=web@.service: this is a template, which runs nowhere (write web@*.service for its instances)`},
		{"web.service|negated glob", xf + "Conflicts=!a*\n", `web.service:4: Conflicts=!a*: "!" may not stand in a unit name or here in a glob (only a set can be negated, as in [!a])`},
		{"web.service|bad byte in a set", xf + "Conflicts=a[1,2].service\n", `web.service:4: Conflicts=a[1,2].service: "," may not stand in a unit name or here in a glob (put a blank between two values)`},
		{"web.service|single quotes in Conflicts", xf + "Conflicts='a.service'\n", `web.service:4: Conflicts='a.service': "'" may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)`},
		{"web.service|quoted machine id", xf + "MachineID=\"zz\"\n", `web.service:4: MachineID=zz is not a machine id (write the 32 hexadecimal digits of /etc/machine-id, or the first 8)`},
		{"web.service|long machine id", xf + "MachineID=0123456789ab\n", `web.service:4: MachineID=0123456789ab is not a machine id (write the 32 hexadecimal digits of /etc/machine-id, or the first 8)`},
		{"web@a.service|instance as a machine id", xf + "MachineID=%i\n", `web@a.service:4: MachineID=a is not a machine id (write the 32 hexadecimal digits of /etc/machine-id, or the first 8)`},
		{"web.service|MachineID and MachineOf", ok + "[X-Flotilla]\nMachineID=0123abcd\nMachineOf=a.service\n", `web.service:5: MachineOf= cannot go with MachineID= (the machine is already chosen; remove one of them)`},
		{"web.service|MachineID and Global", ok + "[X-Flotilla]\nMachineID=0123abcd\nGlobal=yes\n", `web.service:5: Global=yes cannot go with MachineID= (a global unit runs on every host that fits; remove one of them)`},
		{"web.service|Global and MachineOf", ok + "[X-Flotilla]\nMachineOf=a.service\nGlobal=yes\n", `web.service:5: Global=yes cannot go with MachineOf= (a global unit runs on every host that fits; remove one of them)`},
		{"web.service|Global and Fence", ok + "[X-Flotilla]\nFence=yes\nGlobal=yes\n", `web.service:4: Fence=yes cannot go with Global=yes (a fenced unit runs at most once in the cluster; remove one of them)`},
		{"web.service|MachineOf conflicts", ok + "[X-Flotilla]\nMachineOf=db.service\nConflicts=db*\n", `web.service:4: MachineOf=db.service matches Conflicts=db* (the unit could run nowhere; change one of them)`},
		{"web.service|too many values", ok + "[X-Flotilla]\nConflicts=" + strings.Repeat("a.service ", 1001) + "\n", `web.service:4: Conflicts= has more than 1000 values (use a label or a glob that covers them)`},
		{"web.service|Docker fenced", "[Service]\nExecStart=/usr/bin/docker run x\n[X-Flotilla]\nFence=yes\n", `web.service:2: Docker with Fence=yes is refused: its processes live outside the unit's cgroup (use Podman with --cgroups=split, or a plain process)`},
		{"web.service|Docker in a shell fenced", "[Service]\nExecStart=-/bin/sh -c 'exec docker run x'\n[X-Flotilla]\nFence=yes\n", `web.service:2: Docker with Fence=yes is refused: its processes live outside the unit's cgroup (use Podman with --cgroups=split, or a plain process)`},
		{"web.service|Podman fenced", "[Service]\nExecStart=/usr/bin/podman run x\n[X-Flotilla]\nFence=yes\n", `web.service:2: Podman with Fence=yes keeps its processes outside the unit's cgroup (add --cgroups=split)`},
		{"web.service|Podman before the start fenced", "[Service]\nExecStartPre=/usr/bin/podman run -d x\nExecStart=/bin/true\n[X-Flotilla]\nFence=yes\n", `web.service:2: Podman with Fence=yes keeps its processes outside the unit's cgroup (add --cgroups=split)`},
		{"web.service|systemd-run fenced", ok + "ExecStartPost=-/bin/sh -c 'systemd-run --scope sleep 9'\n[X-Flotilla]\nFence=yes\n", `web.service:3: systemd-run with Fence=yes is refused: what it starts lives outside the unit's cgroup (run the program itself)`},
		{"web.service|KillMode fenced", ok + "KillMode=process\n[X-Flotilla]\nFence=yes\n", `web.service:3: KillMode=process cannot go with Fence=yes: processes would be left running (remove it)`},
		{"web.service|SendSIGKILL fenced", ok + "SendSIGKILL=no\n[X-Flotilla]\nFence=yes\n", `web.service:3: SendSIGKILL=no cannot go with Fence=yes: a process that ignores SIGTERM would be left running (remove it)`},
		{"web.timer|fenced", "[Timer]\nOnCalendar=daily\n[X-Flotilla]\nFence=yes\n", `web.timer:4: Fence=yes needs processes of the unit's own, and a timer has none (fence the service that it belongs to)`},
		{"web.service|misspelt section", "[Servce]\nExecStart=/bin/true\n", `web.service:1: unknown section [Servce] (write [Service])`},
		{"web.service|section in small letters", ok + "[install]\nWantedBy=multi-user.target\n", `web.service:3: unknown section [install] (write [Install])`},
		{"web.service|letters of a section exchanged", "[Uint]\nDescription=x\n" + ok, `web.service:1: unknown section [Uint] (write [Unit])`},
		{"web.timer|misspelt section of a timer", "[Tmier]\nOnCalendar=daily\n", `web.timer:1: unknown section [Tmier] (write [Timer])`},
		{"web.service|misspelt ExecStart", "[Service]\nExecStrat=/bin/true\n", `web.service:2: unknown option ExecStrat= (did you mean ExecStart=?)`},
		{"web.service|unknown Restart", ok + "Restart=allways\n", `web.service:3: Restart=allways is not known to systemd (write one of no, on-success, on-failure, on-abnormal, on-watchdog, on-abort, always)`},
		{"web.service|unknown Type", ok + "Type=notfy\n", `web.service:3: Type=notfy is not known to systemd (write one of simple, forking, oneshot, dbus, notify, notify-reload, idle, exec)`},
		{"web.service|no section", "# nothing\n", `web.service:1: service has no ExecStart= (add ExecStart= to [Service])`},
		{"web.service|no ExecStart", "[Service]\nType=simple\nExecStop=/bin/true\n", `web.service:1: service has no ExecStart=, which only Type=oneshot may lack (add ExecStart= to [Service])`},
		{"web.service|nothing to do", "[Unit]\nDescription=x\n[Service]\nExecStop=/bin/true\n", `web.service:3: service has no ExecStart= (add ExecStart= to [Service])`},
		{"web.service|two starts", ok + "ExecStart=/bin/false\n", `web.service:3: more than one ExecStart= command, which only Type=oneshot may have (use ExecStartPre=, or set Type=oneshot)`},
		{"web.service|two starts in a line", "[Service]\nExecStart=/bin/true ; /bin/false\n", `web.service:2: more than one ExecStart= command, which only Type=oneshot may have (use ExecStartPre=, or set Type=oneshot)`},
		{"web.service|one-shot restarts", ok + "Type=oneshot\nRestart=always\n", `web.service:4: Restart=always is not allowed with Type=oneshot (use on-failure, or remove Type=oneshot)`},
		{"web.service|no bus name", ok + "Type=dbus\n", `web.service:1: Type=dbus needs BusName= (add BusName=)`},
		{"web.service|relative program", "[Service]\nExecStart=bin/web\n", `web.service:2: ExecStart= program bin/web is neither an absolute path nor a bare name (write the absolute path)`},
		{"web.service|too large", "[Service]\nExecStart=/bin/true\nEnvironment=A=" + strings.Repeat("x", 600_000), `web.service:1: file has 600044 bytes, 524288 is the most (put large text into a file of its own)`},
		{"web.socket|no address", "[Socket]\nAccept=no\n", `web.socket:1: socket listens on nothing (add ListenStream= or another Listen option)`},
		{"web.timer|no time", "[Timer]\nPersistent=yes\n", `web.timer:1: timer never elapses (add OnCalendar= or another On option)`},
		{"web.path|no path", "[Path]\nUnit=web.service\n", `web.path:1: path watches no path (add PathExists= or PathChanged=)`},
		{"srv.mount|no source", "[Mount]\nWhere=/srv\n", `srv.mount:1: mount mounts nothing (add What=)`},
	}
}

func TestBadInputs(t *testing.T) {
	check := func(table []badInput, refuse func(badInput) error) {
		for _, test := range table {
			err := refuse(test)
			if err == nil {
				t.Errorf("%s: no error, want %q", test.name, test.want)
			} else if err.Error() != test.want {
				t.Errorf("%s: error differs\n got %s\nwant %s", test.name, err, test.want)
			}
		}
	}
	check(badNames(), func(b badInput) error { _, err := ParseName(b.in); return err })
	check(badPatterns(), func(b badInput) error { _, err := Expand(b.in); return err })
	check(badFiles(), func(b badInput) error {
		name, _, _ := strings.Cut(b.name, "|")
		return Verify(Name(name), []byte(b.in))
	})
}

func TestVerifyReportsEveryFault(t *testing.T) {
	err := Verify("web.service", []byte("[X-Flotilla]\nGlobal=maybe\nZone=1\n[Service]\nExecStart=bin/a\nMachineID=misplaced\n"))
	faults, ok := err.(Errors)
	if !ok || len(faults) != 4 || faults[0].Line != 2 || faults[1].Line != 3 || faults[2].Line != 5 || faults[3].Line != 6 {
		t.Errorf("Verify = %v, want four faults in the order of their lines", err)
	}
}

// TestVerifyGoesOn: a line that is no assignment hides no fault of the others, and makes none.
func TestVerifyGoesOn(t *testing.T) {
	const in = "[Service]\nType=simpel\nMemoryMax 1G\n[X-Flotilla]\nGlobal=maybe\nFence\n[Install\nMachineOf=x.service\n"
	const want = `web.service:2: Type=simpel is not known to systemd (write one of simple, forking, oneshot, dbus, notify, notify-reload, idle, exec)
web.service:3: no = in this line (write Name=value, or # before a comment)
web.service:5: Global=maybe is not a boolean (write yes or no)
web.service:6: no = in this line (write Name=value, or # before a comment)
web.service:7: section header "[Install" does not end in ] (write [Service] alone on its line)`
	if err := Verify("web.service", []byte(in)); err == nil || err.Error() != want {
		t.Errorf("Verify differs\n got %v\nwant %s", err, want)
	}
	drop := DropIns{{Name: "a.conf", Raw: []byte("[Service]\nRestart=x\nMemoryMax\n[X-Fleet]\n")}}
	const wantDrop = `web.service.d/a.conf:2: Restart=x is not known to systemd (write one of no, on-success, on-failure, on-abnormal, on-watchdog, on-abort, always)
web.service.d/a.conf:3: no = in this line (write Name=value, or # before a comment)
web.service.d/a.conf:4: [X-Fleet] in a drop-in does nothing (write it in the unit file)`
	if err := VerifyDropIns("web.service", drop); err == nil || err.Error() != wantDrop {
		t.Errorf("VerifyDropIns differs\n got %v\nwant %s", err, wantDrop)
	}
	if err := VerifyWith("web.service", []byte(in), drop); err == nil || err.Error() != want+"\n"+wantDrop {
		t.Errorf("VerifyWith differs\n got %v\nwant %s", err, want+"\n"+wantDrop)
	}
}
