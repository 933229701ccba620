package units

import (
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	long := strings.Repeat("a", 245) + ".service"
	for _, in := range []string{
		"web.service", "web@.service", "web@3.service", "a@b@c.service", "1.service", "a.b.socket", `dev-disk\x2d1.mount`,
		"x:y_z-1.timer", "app.web.1a2b3c4d@2.service", "-.slice", "a-b.slice", "-.mount", "p@q.target", "path@-.service", "-a.service", long, "..service",
	} {
		if got, err := ParseName(in); err != nil || string(got) != in {
			t.Errorf("ParseName(%q) = %q, %v, want no error", in, got, err)
		}
	}
	// Each refusal in full stands in TestBadInputs.
	for _, in := range []string{
		"", ".service", "web", "web.", "web.servce", "a b.service", "a/b.service", "ü.service", "@x.service", "@.service", "a" + long,
		"a.device", "a.scope", "a.swap", "a.snapshot", "a.busname", "a@.mount", "a@b.slice", "a--b.slice", "-a.slice", "a-.slice",
		"ssh-.service", "docker-.socket", "a-@.service", "a-@1.service", "-.service", "srv-.mount", "web@{1..3}.service",
	} {
		if got, err := ParseName(in); err == nil {
			t.Errorf("ParseName(%q) = %q, want an error", in, got)
		}
	}
}

func TestNameParts(t *testing.T) {
	for _, test := range []struct {
		name, kind, prefix, instance, template, with string
		isTemplate, isInstance                       bool
	}{
		{"web.service", "service", "web", "", "", "web.service", false, false},
		{"web@.service", "service", "web", "", "", "web@x.service", true, false},
		{"web@3.service", "service", "web", "3", "web@.service", "web@x.service", false, true},
		{"a@b@c.socket", "socket", "a", "b@c", "a@.socket", "a@x.socket", false, true},
		{"a.b@c.d.timer", "timer", "a.b", "c.d", "a.b@.timer", "a.b@x.timer", false, true},
		{"odd", "", "odd", "", "", "odd", false, false},
		{"", "", "", "", "", "", false, false},
	} {
		n := Name(test.name)
		if n.Type() != test.kind || n.Prefix() != test.prefix || n.Instance() != test.instance || string(n.Template()) != test.template ||
			string(n.With("x")) != test.with || n.IsTemplate() != test.isTemplate || n.IsInstance() != test.isInstance {
			t.Errorf("parts of %q = %q %q %q %q %q %v %v, want %+v", n, n.Type(), n.Prefix(), n.Instance(), n.Template(), n.With("x"), n.IsTemplate(), n.IsInstance(), test)
		}
	}
}

func TestMangle(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"web", "web.service"},
		{"./dir/web.service", "web.service"},
		{"foo.target", "foo.target"},
		{"sda.device", "sda.device"},
		{"web@3", "web@3.service"},
		{"1.2.3", "1.2.3.service"},
		{"web*", "web*.service"},
		{"web.servce", "web.servce.service"},
		{"", ""},
	} {
		if got := Mangle(test.in); got != test.want {
			t.Errorf("Mangle(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestMangleGlob(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"web@?", "web@?.service"},
		{"web@[1-2]", "web@[1-2].service"},
		{"web@*", "web@*"},
		{"*", "*"},
		{"web@?.service", "web@?.service"},
		{"web@?.timer", "web@?.timer"},
		{"db.s*t", "db.s*t"},
		{"db.[st]*", "db.[st]*"},
		{"db@1.?", "db@1.?.service"},
		{"units/*.service", "units/*.service"},
		{"units/we?", "units/we?.service"},
		{"we[b", "we[b.service"},
	} {
		if got := MangleGlob(test.in); got != test.want {
			t.Errorf("MangleGlob(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestReserved(t *testing.T) {
	for name, want := range map[Name]bool{
		"systemd-networkd.service": true, "dbus.socket": true, "dbus-broker.service": true, "flotilla.service": true, "flotilla-fence.target": true,
		"-.slice": true, "-.mount": true, "system.slice": true, "user.slice": true, "reboot.target": true, "poweroff.target": true,
		"multi-user.target": true, "runlevel3.target": true, "initrd-fs.target": true, "network-online.target": true,
		"web.slice": false, "reboot.service": false, "srv.mount": false, "web.target": false,
		"systemd.service": false, "web.service": false, "my-flotilla.service": false,
	} {
		if err := Reserved(name); (err != nil) != want {
			t.Errorf("Reserved(%s) = %v, want refused: %v", name, err, want)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"web.service", "web@.service", "a@b@c.socket", "-.slice", "a--b.slice", "\x00", "@", ".", "web@{1..3}.service", `x\x2d.mount`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mustOneLine(t, Mangle(s), func() error { _, err := ParseName(Mangle(s)); return err }())
		n, err := ParseName(s)
		if mustOneLine(t, s, err); err != nil {
			return
		}
		if string(n) != s || IsGlob(s) || n.Type() == "" || n.Prefix() == "" || n.IsTemplate() && n.IsInstance() {
			t.Errorf("ParseName(%q) = %q: type %q prefix %q", s, n, n.Type(), n.Prefix())
		}
		if Mangle(s) != s {
			t.Errorf("Mangle(%q) = %q, want a valid name unchanged", s, Mangle(s))
		}
		if n.IsInstance() && (n.Template().With(n.Instance()) != n || !n.Template().IsTemplate()) {
			t.Errorf("template %q of %q does not lead back to it", n.Template(), n)
		}
	})
}

// mustOneLine fails the test if an error would not print as one line.
func mustOneLine(t *testing.T, in string, err error) {
	t.Helper()
	if err != nil && strings.ContainsAny(err.Error(), "\n\r\x00") {
		t.Errorf("error for %q is not one line: %q", in, err)
	}
}
