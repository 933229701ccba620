package units

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// drops makes drop-ins of name, content, name, content.
func drops(pairs ...string) DropIns {
	var d DropIns
	for i := 0; i < len(pairs); i += 2 {
		d = append(d, DropIn{Name: pairs[i], Raw: []byte(pairs[i+1])})
	}
	return d
}

// manyDropIns are n drop-ins of size bytes each.
func manyDropIns(n, size int) DropIns {
	var d DropIns
	for i := range n {
		d = append(d, DropIn{Name: fmt.Sprintf("%02d.conf", i), Raw: []byte("#" + strings.Repeat("x", size-1))})
	}
	return d
}

func TestBadDropIns(t *testing.T) {
	const env = "[Service]\nEnvironment=A=b\n"
	for _, test := range []struct {
		d    DropIns
		want string
	}{
		{drops("limits", env), `web.service.d/limits: name of a drop-in does not end in .conf, and systemd would pass over it (name it limits.conf)`},
		{drops("a.conf.bak", env), `web.service.d/a.conf.bak: name of a drop-in does not end in .conf, and systemd would pass over it (name it a.conf.bak.conf)`},
		{drops(".conf", env), `web.service.d/.conf: name of a drop-in begins with a dot, and systemd would pass over it (name it as in 10-limits.conf)`},
		{drops("../x.conf", env), `web.service.d/../x.conf: name of a drop-in has a slash (give the name of the file without its folder)`},
		{drops("a b.conf", env), `"web.service.d/a b.conf": name of a drop-in has a blank or a character that cannot be seen (use letters, digits, - and _)`},
		{drops("a\n.conf", env), `"web.service.d/a\n.conf": name of a drop-in has a blank or a character that cannot be seen (use letters, digits, - and _)`},
		{drops(strings.Repeat("x", 251)+".conf", env), `web.service.d/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...: name of a drop-in is longer than 255 bytes (shorten it)`},
		{drops("50-flotilla.conf", env), `web.service.d/50-flotilla.conf: this name is that of flotilla's own drop-in (choose another, such as 40-flotilla.conf)`},
		{drops("a.conf", env, "a.conf", env), `web.service.d/a.conf: drop-in is given twice (keep one of them)`},
		{manyDropIns(65, 10), `web.service.d: more than 64 drop-ins (put what belongs together into one)`},
		{manyDropIns(3, 100<<10), `web.service.d/02.conf: drop-ins of a unit have more than 262144 bytes (put large text into a file of its own)`},
		{drops("a.conf", "MemoryMax=1G\n"), `web.service.d/a.conf:1: text before the first section (put a header such as [Service] above it)`},
		{drops("a.conf", "[Service]\n\nMemoryMax 1G\n"), `web.service.d/a.conf:3: no = in this line (write Name=value, or # before a comment)`},
		{drops("a.conf", "[Servce]\nMemoryMax=1G\n"), `web.service.d/a.conf:1: unknown section [Servce] (write [Service])`},
		{drops("a.conf", env+"[X-Flotilla]\nGlobal=yes\n"), `web.service.d/a.conf:3: [X-Flotilla] in a drop-in does nothing (write it in the unit file)`},
		{drops("a.conf", env+"[X-Fleet]\nGlobal=yes\n"), `web.service.d/a.conf:3: [X-Fleet] in a drop-in does nothing (write it in the unit file)`},
		{drops("a.conf", env+"[X-Flotila]\n"), `web.service.d/a.conf:3: unknown section [X-Flotila] (write [X-Flotilla])`},
		{drops("a.conf", env+"MachineOf=a.service\n"), `web.service.d/a.conf:3: MachineOf= in [Service] does nothing (write it in [X-Flotilla])`},
		{drops("a.conf", env+"Restart=sometimes\n"), `web.service.d/a.conf:3: Restart=sometimes is not known to systemd (write one of no, on-success, on-failure, on-abnormal, on-watchdog, on-abort, always)`},
		{drops("a.conf", "[Service]\nExecStartPre=bin/x\n"), `web.service.d/a.conf:2: ExecStartPre= program bin/x is neither an absolute path nor a bare name (write the absolute path)`},
		{drops("a.conf", "[Service]\nEnvironment=A=\xff\n"), `web.service.d/a.conf:2: text is not valid UTF-8 (save the file as UTF-8)`},
	} {
		err := VerifyDropIns("web.service", test.d)
		if err == nil || err.Error() != test.want {
			t.Errorf("VerifyDropIns(%q) differs\n got %v\nwant %s", test.d[0].Name, err, test.want)
		}
		if _, err := mustParse(t, "web.service", env).RequirementsWith(test.d); err == nil && !strings.Contains(test.want, "/a.conf:") {
			t.Errorf("RequirementsWith(%q) accepts what VerifyDropIns refuses", test.d[0].Name)
		}
	}
}

func TestGoodDropIns(t *testing.T) {
	d := append(manyDropIns(63, 10), drops("x.conf", "")...)
	if err := VerifyDropIns("web.service", d); err != nil {
		t.Errorf("VerifyDropIns of 64 files = %v", err)
	}
	if err := VerifyDropIns("web.service", nil); err != nil {
		t.Errorf("VerifyDropIns of none = %v", err)
	}
	raw := []byte("[Service]\nExecStart=/bin/true\n")
	good := drops("20-b.conf", "[Service]\nExecStart=\nExecStart=/bin/b\n", "10-a.conf", "[Unit]\nDescription=a\n[Service]\nExecStart=\nExecStart=/bin/a\n[X-Other]\nx=y\n")
	if err := VerifyWith("web.service", raw, good); err != nil {
		t.Errorf("VerifyWith = %v", err)
	}
	whole, err := mustParse(t, "web.service", string(raw)).With(good)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/bin/b"}, whole.Values("Service", "ExecStart")); diff != "" {
		t.Errorf("drop-ins are not read in the order of their names:\n%s", diff)
	}
}

// TestVerifyWith: a fault of the whole names the file that has its line.
func TestVerifyWith(t *testing.T) {
	for _, test := range []struct {
		name, in string
		d        DropIns
		want     string
	}{
		{"start comes from a drop-in", "[Unit]\nDescription=x\n", drops("a.conf", "[Service]\nExecStart=/bin/true\n"), ""},
		{"second start", "[Service]\nExecStart=/bin/true\n", drops("a.conf", "[Unit]\n", "b.conf", "[Service]\nExecStart=/bin/false\n"), `web.service.d/b.conf:2: more than one ExecStart= command, which only Type=oneshot may have (use ExecStartPre=, or set Type=oneshot)`},
		{"kill mode of a fenced unit", "[Service]\nExecStart=/bin/true\n[X-Flotilla]\nFence=yes\n", drops("a.conf", "[Service]\nKillMode=process\n"), `web.service.d/a.conf:2: KillMode=process cannot go with Fence=yes: processes would be left running (remove it)`},
		{"both are wrong", "[Service]\nExecStart=/bin/true\n[X-Flotilla]\nGlobal=maybe\n", drops("a.conf", "[Servce]\n", "b.conf", "[Service]\nRestart=x\n"), `web.service:4: Global=maybe is not a boolean (write yes or no)
web.service.d/a.conf:1: unknown section [Servce] (write [Service])
web.service.d/b.conf:2: Restart=x is not known to systemd (write one of no, on-success, on-failure, on-abnormal, on-watchdog, on-abort, always)`},
		{"text of the file is wrong", "[Service\n", drops("a", ""), `web.service:1: section header "[Service" does not end in ] (write [Service] alone on its line)
web.service.d/a: name of a drop-in does not end in .conf, and systemd would pass over it (name it a.conf)`},
	} {
		got := ""
		if err := VerifyWith("web.service", []byte(test.in), test.d); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: VerifyWith differs\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestBundle(t *testing.T) {
	d := drops("b.conf", "[Unit]\n", "a.conf", "[Service]\nEnvironment=ü\n")
	bundle, err := d.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseDropIns(bundle)
	if diff := cmp.Diff(DropIns{d[1], d[0]}, back); err != nil || diff != "" {
		t.Errorf("ParseDropIns(Bundle()) = %v, differs:\n%s", err, diff)
	}
	if _, err := ParseDropIns([]byte("x")); err == nil {
		t.Error("ParseDropIns(x) = no error")
	}
}
