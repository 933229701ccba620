package units

import (
	"bytes"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func mustParse(t testing.TB, name Name, text string) *File {
	t.Helper()
	f, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatalf("Parse(%s): %v", name, err)
	}
	return f
}

func TestParse(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, test := range []struct {
		name, in string
		want     []Option
	}{
		{"empty", "", nil},
		{"comments and blank lines", "# a\n  ; b\n\n[Unit]\n#c=d\n", nil},
		{"blanks trimmed", " [Unit] \n\t Description =  two  words \t\n", []Option{{"Unit", "Description", "two  words", 2}}},
		{"empty value kept", "[Service]\nExecStart=\n", []Option{{"Service", "ExecStart", "", 2}}},
		{"equals in value", "[Service]\nEnvironment=A=b=c\n", []Option{{"Service", "Environment", "A=b=c", 2}}},
		{"no newline at the end", "[A]\nb=c", []Option{{"A", "b", "c", 2}}},
		{"windows line ends", "[A]\r\n\r\nb=c\r\nd=e\r\n", []Option{{"A", "b", "c", 3}, {"A", "d", "e", 4}}},
		{"old mac line ends", "[A]\rb=c\r\rd=e", []Option{{"A", "b", "c", 2}, {"A", "d", "e", 4}}},
		{"byte order mark", "\uFEFF[A]\nb=c\n", []Option{{"A", "b", "c", 2}}},
		{"continuation", "[A]\nb=c \\\n  d \\\n  e\nf=g\n", []Option{{"A", "b", "c    d    e", 2}, {"A", "f", "g", 5}}},
		{"comment inside a continuation", "[A]\nb=c\\\n# not me \\\n; nor me\nd\ne=f\n", []Option{{"A", "b", "c d", 2}, {"A", "e", "f", 6}}},
		{"blank line ends a continuation", "[A]\nb=c\\\n\nd=e\n", []Option{{"A", "b", "c", 2}, {"A", "d", "e", 4}}},
		{"comment is not continued", "[A]\n# x \\\nb=c\n", []Option{{"A", "b", "c", 3}}},
		{"escaped backslash ends the line", "[A]\nb=c\\\\\nd=e\n", []Option{{"A", "b", `c\\`, 2}, {"A", "d", "e", 3}}},
		{"three backslashes continue", "[A]\nb=c\\\\\\\nd=e\n", []Option{{"A", "b", `c\\ d=e`, 2}}},
		{"backslash and blank does not continue", "[A]\nb=c\\ \nd=e\n", []Option{{"A", "b", `c\`, 2}, {"A", "d", "e", 3}}},
		{"continuation at the end of the file", "[A]\nb=c\\", []Option{{"A", "b", "c", 2}}},
		{"continued name", "[A]\nb\\\n=c\n", []Option{{"A", "b", "c", 2}}},
		{"section twice", "[A]\nb=1\n[C]\nd=2\n[A]\nb=3\n", []Option{{"A", "b", "1", 2}, {"C", "d", "2", 4}, {"A", "b", "3", 6}}},
		{"long line", "[A]\nb=" + long, []Option{{"A", "b", long, 2}}},
	} {
		raw := []byte(test.in)
		f, err := Parse("a.service", raw)
		if err != nil {
			t.Errorf("%s: Parse: %v", test.name, err)
			continue
		}
		if diff := cmp.Diff(test.want, f.Options, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: options differ (-want +got):\n%s", test.name, diff)
		}
		if !bytes.Equal(f.Raw, raw) {
			t.Errorf("%s: Raw changed", test.name)
		}
	}
}

func TestLookup(t *testing.T) {
	f := mustParse(t, "a.service", "[S]\nx=1\nx=2\n[T]\nx=9\n[S]\nx=\nx=3\nx=4\ny=1\ny=\n")
	if diff := cmp.Diff([]string{"3", "4"}, f.Values("S", "x")); diff != "" {
		t.Errorf("Values after a reset differ:\n%s", diff)
	}
	for _, test := range []struct {
		section, name, want string
		ok                  bool
	}{{"S", "x", "4", true}, {"T", "x", "9", true}, {"S", "y", "", false}, {"S", "X", "", false}, {"U", "x", "", false}} {
		if got, ok := f.Value(test.section, test.name); got != test.want || ok != test.ok {
			t.Errorf("Value(%s, %s) = %q, %v, want %q, %v", test.section, test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestParseManyFaults(t *testing.T) {
	_, err := Parse("a.service", []byte("[A]\n"+strings.Repeat("x\n", 10_000)))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxFaults+1 || lines[maxFaults] != "a.service:52: more faults follow (mend the ones above first)" {
		t.Errorf("10000 faults give %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

// otherReader reads raw with go-systemd. It differs from systemd in ways that
// sameForBoth keeps out of the comparison.
func otherReader(raw []byte) ([]Option, error) {
	list, err := unit.DeserializeOptions(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	out := make([]Option, len(list))
	for i, o := range list {
		out[i] = Option{Section: o.Section, Name: o.Name, Value: o.Value}
	}
	return out, nil
}

// sameForBoth reports whether raw avoids what go-systemd reads otherwise than
// systemd: continuations (kept verbatim), carriage returns and byte order marks
// (kept), blanks beyond ASCII (trimmed), and brackets in odd places.
func sameForBoth(raw []byte) bool {
	if bytes.ContainsAny(raw, "\\\r\v\f\u0085\u00a0\ufeff") || len(raw) > 2000 {
		return false
	}
	for _, r := range string(raw) {
		if r > 0x7f || r < ' ' && r != '\n' && r != '\t' {
			return false
		}
	}
	for line := range strings.Lines(string(raw)) {
		line = strings.Trim(line, whitespace)
		if strings.HasPrefix(line, "[") && strings.Count(line, "]") != 1 {
			return false
		}
	}
	return true
}

func compareReaders(t *testing.T, f *File) {
	t.Helper()
	if !sameForBoth(f.Raw) {
		return
	}
	theirs, err := otherReader(f.Raw)
	if err != nil {
		return
	}
	if diff := cmp.Diff(theirs, f.Options, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Option{}, "Line")); diff != "" {
		t.Errorf("Parse(%q) differs from go-systemd (-theirs +ours):\n%s", f.Raw, diff)
	}
}

func TestParseLikeGoSystemd(t *testing.T) {
	for _, in := range []string{
		"[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true a=b\nExecStart=\n\n# c\nUser = me \n[X-Fleet]\nGlobal=yes\n",
		" [A]\nb=c\n\t\n[A]\nd=\n",
	} {
		if !sameForBoth([]byte(in)) {
			t.Errorf("%q is not compared", in)
		}
		compareReaders(t, mustParse(t, "a.service", in))
	}
}

// render writes options as a plain file; the blank keeps a last backslash from
// continuing the line. Only tests ever do this.
func render(options []Option) string {
	var b strings.Builder
	for _, o := range options {
		b.WriteString("[" + o.Section + "]\n" + o.Name + "=" + o.Value + " \n")
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"[Unit]\nDescription=x\n", "[A]\nb=c\\\n# d\ne\n", "\uFEFF[A]\r\nb=c", "[A]\nb=\\", "x", "[", "[]", "[A]\n=\n", "[A]\x00", "\xff",
		"[X-Flotilla]\nMachineMetadata=\"a=1\" \"a=2\"\nConflicts=web@*.service\nGlobal=yes\n", "[X-Fleet]\nX-Conflicts=%p@*.service\n[x-flotila]\n",
		"[X-Flotilla]\nFence=yes\nMachineOf=a.service %i\nMachineID=%%\n[Service]\nExecStart=-/bin/sh -c 'docker run' ; @x/y z\nKillMode=none\n",
		"[X-Flotilla]\nMachineMetadata=\"a in (b, c)\" \"d>=4\" \"!e\" \"f\" \"g!=h\"\nPrefer=a notin (b)\nMaxPerHost=2\nSpread=zone:hard rack\nMaxUnavailable=25%\n",
		"[Service]\nMemoryMax=1G 2M\nCPUQuota=1.5%\n[X-Flotilla]\nMemory=1.5G\nCPU=0.25\nRuntime=podman\nImage=a.b:5/c/d:e@sha256:00\nHandover=start-first\nReschedule=on-failure\nReplaces=a*\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		file, err := Parse("web@1.service", raw)
		again, errAgain := Parse("web@1.service", raw)
		if !bytes.Equal(before, raw) {
			t.Fatal("Parse changed its input")
		}
		if diff := cmp.Diff(err, errAgain); diff != "" {
			t.Fatalf("two errors for one input:\n%s", diff)
		}
		lines := bytes.Count(raw, []byte("\n")) + bytes.Count(raw, []byte("\r")) + 1
		if err != nil {
			for _, e := range err.(Errors) {
				mustOneLine(t, string(raw), e)
				if e.Line < 1 || e.Line > lines || e.Hint == "" {
					t.Errorf("fault %v: line outside the file or no hint", e)
				}
			}
			return
		}
		if diff := cmp.Diff(file, again, cmp.AllowUnexported(File{}, header{}, part{})); diff != "" {
			t.Fatalf("two results for one input:\n%s", diff)
		}
		for i, o := range file.Options {
			if o.Line < 1 || o.Line > lines || i > 0 && o.Line < file.Options[i-1].Line || o.Name == "" || o.Section == "" {
				t.Errorf("option %+v of a file of %d lines", o, lines)
			}
		}
		compareReaders(t, file)
		checkRequirements(t, file)
		mustReadBack(t, file.Options)
	})
}

// mustReadBack fails the test if options that are written plainly read otherwise.
func mustReadBack(t *testing.T, options []Option) {
	t.Helper()
	back, err := Parse("web@1.service", []byte(render(options)))
	if err != nil {
		t.Fatalf("rendered options do not parse: %v", err)
	}
	if diff := cmp.Diff(options, back.Options, cmpopts.IgnoreFields(Option{}, "Line"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rendered options differ (-want +got):\n%s", diff)
	}
}

// checkRequirements calls everything that reads a parsed file.
func checkRequirements(t *testing.T, file *File) {
	t.Helper()
	r, err := file.Requirements()
	again, _ := file.Requirements()
	if !cmp.Equal(r, again) {
		t.Errorf("two results for one file: %+v, %+v", r, again)
	}
	for _, e := range [...]error{err, Verify(file.Name, file.Raw)} {
		if e == nil {
			continue
		}
		for _, fault := range e.(Errors) {
			mustOneLine(t, string(file.Raw), fault)
			if fault.Line < 1 || fault.Hint == "" {
				t.Errorf("fault %v: no line or no hint", fault)
			}
		}
	}
	r.ConflictsWith(file.Name, "web@2.service")
	r.MatchMetadata(nil)
}

func BenchmarkParseRequirements(b *testing.B) {
	raw := []byte("[Unit]\nDescription=Web server\nAfter=network-online.target\nWants=network-online.target\n\n" +
		"[Service]\nExecStartPre=-/usr/bin/podman pull docker.io/library/nginx\nExecStart=/usr/bin/podman run --rm \\\n" +
		"  --name %p-%i \\\n  -p 8080:80 \\\n  docker.io/library/nginx\nRestart=always\nRestartSec=5\n\n" +
		"[X-Flotilla]\nMachineMetadata=\"region=eu\" \"disk=ssd\"\nConflicts=%p@*.service\n")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := Parse("web@1.service", raw)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Requirements(); err != nil {
			b.Fatal(err)
		}
	}
}
