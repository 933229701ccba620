package templates

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"flotilla/units"
)

// world is a project with one service, and its document.
func world(t *testing.T, s types.ServiceConfig) (*Document, *types.Project) {
	t.Helper()
	d, err := Parse("compose.yaml", []byte("services:\n  web:\n    image: app:1\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.Name = "web"
	return d, &types.Project{Name: "shop", Services: types.Services{"web": s}}
}

// FuzzRender: texts in every place of a service that takes a text change nothing but the arguments
// that they are. What is rendered without them shows which options there should be.
func FuzzRender(f *testing.F) {
	for _, s := range []string{"x", "%n", "$HOME", "a\nRestart=always\n", "\\", "\" ; /bin/rm '", "\n[X-Flotilla]\nGlobal=yes\n#", "--privileged", "{{.Image}}", "\u2028", "a:b,c", "' || true"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, docker bool) {
		o := Options{Runtime: Podman}
		if docker {
			o.Runtime = Docker
		}
		d, p := world(t, hostile("x"))
		plain, err := Render(d, p, o)
		if err != nil {
			t.Fatalf("Render with x = %v", err)
		}
		d, p = world(t, hostile(text))
		got, err := Render(d, p, o)
		if err != nil {
			return // refused: there is nothing to compare
		}
		wantLines, gotLines := options(t, plain[0]), options(t, got[0])
		if len(gotLines) != len(wantLines) {
			t.Fatalf("text %q makes %d options, want %d:\n%s", text, len(gotLines), len(wantLines), got[0].Content)
		}
		for i, want := range wantLines {
			have := gotLines[i]
			if have.Section != want.Section || have.Name != want.Name {
				t.Fatalf("text %q makes %s %s=, want %s %s=", text, have.Section, have.Name, want.Section, want.Name)
			}
			if have.Value == want.Value {
				continue
			}
			if err := sameBut(have.Value, want.Value, text); err != nil {
				t.Errorf("text %q in %s=: %v", text, want.Name, err)
			}
		}
	})
}

// hostile is a service with a text wherever one may stand.
func hostile(text string) types.ServiceConfig {
	return types.ServiceConfig{
		ContainerSpec: types.ContainerSpec{
			Image: "app:1", Command: types.ShellCommand{"/app", text, text + " "}, Entrypoint: types.ShellCommand{"/" + text, text},
			Environment: types.MappingWithEquals{"A": &text}, Labels: types.Labels{"a": text}, User: text, WorkingDir: "/" + text,
			Volumes: []types.ServiceVolumeConfig{{Type: "bind", Source: "/" + text, Target: "/" + text}},
		},
		WorkloadSpec: types.WorkloadSpec{HealthCheck: &types.HealthCheckConfig{Test: types.HealthCheckTest{"CMD", text, text}}},
	}
}

func options(t *testing.T, u Unit) []units.Option {
	t.Helper()
	f, err := units.Parse(u.Name, u.Content)
	if err != nil {
		t.Fatalf("Parse(%s) = %v\n%s", u.Name, err, u.Content)
	}
	return f.Options
}

// sameBut demands that two command lines have the same words, but for a text where the other has an x.
func sameBut(have, want, text string) error {
	// Our own specifiers are no part of what is compared: they stand in both.
	ours := strings.NewReplacer("%p-%i", "NAME", "_%i.slice", "_I.slice")
	got, err := argv(ours.Replace(have))
	if err != nil {
		return err
	}
	plain, err := argv(ours.Replace(want))
	if err != nil {
		return err
	}
	if len(got) != len(plain) {
		return fmt.Errorf("%d words, want %d: %q", len(got), len(plain), got)
	}
	for i, w := range plain {
		if got[i] != w && !slices.Contains(fillings(w, text), got[i]) {
			return fmt.Errorf("word %d is %q, want %q with the text", i, got[i], w)
		}
	}
	return nil
}

// fillings are a word of the plain rendering with the text in the place of its x.
func fillings(w, text string) []string {
	if check, ok := strings.CutPrefix(w, "--health-cmd="); ok {
		words := []string{text, text}
		if check[0] == '[' {
			return []string{"--health-cmd=" + jsonList(words)}
		}
		return []string{"--health-cmd=" + shellQuoted(words)}
	}
	if before, after, ok := strings.Cut(w, "=/x:/x"); ok {
		return []string{before + "=/" + text + ":/" + text + after}
	}
	i := strings.LastIndexByte(w, 'x')
	if i < 0 {
		return nil
	}
	return []string{w[:i] + text + w[i+1:]}
}

// TestHealthCommand: what the runtimes run as a check is what the Compose file says.
func TestHealthCommand(t *testing.T) {
	for _, test := range []struct {
		test           []string
		docker, podman string
	}{
		{[]string{"CMD-SHELL", "a || b"}, "a || b", `["a || b"]`},
		{[]string{"CMD", "/a", "it's <b>"}, `'/a' 'it'\''s <b>'`, `["/a","it's <b>"]`},
		{[]string{"CMD", "/a b"}, `'/a b'`, `["'/a b'"]`},
		{[]string{"CMD"}, "", ""},
		{[]string{"curl", "x"}, "", ""},
	} {
		for runtime, want := range map[string]string{Docker: test.docker, Podman: test.podman} {
			if got := (&converter{runtime: runtime}).checkCommand(test.test); got != want {
				t.Errorf("checkCommand(%q) for %s = %s, want %s", test.test, runtime, got, want)
			}
		}
	}
}

func TestPlacementLine(t *testing.T) {
	for _, test := range []struct {
		constraint, want string
	}{
		{"node.labels.disk == ssd", "MachineMetadata=disk=ssd"},
		{"node.labels.disk==ssd", "MachineMetadata=disk=ssd"},
		{"node.labels.disk != hdd", "MachineMetadata=disk!=hdd"},
		{"engine.labels.rack == row 2", `MachineMetadata="rack=row 2"`},
		{"node.labels.share == 50%", "MachineMetadata=share=50%%"},
		{"node.id == 0123456789abcdef0123456789abcdef", "MachineID=0123456789abcdef0123456789abcdef"},
		{"node.id != 01234567", ""},
		{"node.labels.a == b\nGlobal=yes", ""},
		{"node.labels.a b == c", ""},
		{"node.role == manager", ""},
	} {
		key, value, not, ok := constraint(test.constraint)
		if !ok {
			t.Errorf("constraint(%q) = false, want true", test.constraint)
		}
		got, hint := placementLine(key, value, not)
		if got != test.want || (got == "") != (hint != "") {
			t.Errorf("placementLine(%q) = %q, %q, want %q", test.constraint, got, hint, test.want)
		}
		if got == "" {
			continue
		}
		f, err := units.Parse("a@.service", []byte("[Service]\nExecStart=/bin/true\n[X-Flotilla]\n"+got+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Requirements()
		if err != nil || r.MachineID == "" && (len(r.Metadata) != 1 || r.Metadata[0].Values[0] != value || (r.Metadata[0].Op == units.NotIn) != not) {
			t.Errorf("%s asks for %+v, %v, want what %q asks for", got, r, err, test.constraint)
		}
	}
}

// TestPortRivals: what publishes the same port of a host keeps away from one another, itself included.
func TestPortRivals(t *testing.T) {
	p := &types.Project{Name: "shop", Services: types.Services{}}
	for name, port := range map[string]types.ServicePortConfig{
		"web": {Target: 80, Published: "80"}, "local": {Target: 1, Published: "80", HostIP: "127.0.0.1"},
		"udp": {Target: 80, Published: "80", Protocol: "udp"}, "any": {Target: 80},
	} {
		if port.Protocol == "" {
			port.Protocol = "tcp"
		}
		p.Services[name] = types.ServiceConfig{Name: name, WorkloadSpec: types.WorkloadSpec{Ports: []types.ServicePortConfig{port}}}
	}
	for name, want := range map[string][]string{
		"web": {"shop.local@*.service", "shop.web@*.service"}, "local": {"shop.local@*.service", "shop.web@*.service"},
		"udp": {"shop.udp@*.service"}, "any": nil,
	} {
		if got := (&converter{project: p, service: p.Services[name]}).portRivals(); !slices.Equal(got, want) {
			t.Errorf("portRivals of %s = %v, want %v", name, got, want)
		}
	}
}

// TestLine: lines are found through anchors, merged keys and lists.
func TestLine(t *testing.T) {
	d, err := Parse("compose.yaml", []byte("x-a: &a\n  image: app:1\n  ports:\n    - 80\nservices:\n  web:\n    <<: *a\n    user: me\n  a.b:\n    image: x\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path []string
		want int
	}{
		{[]string{"services", "web", "user"}, 8},
		{[]string{"services", "web", "image"}, 2},
		{[]string{"services", "web", "ports", "0"}, 4},
		{[]string{"services", "web", "none", "0"}, 6},
		{[]string{"services", "a.b", "image"}, 10},
		{[]string{"none"}, 1},
	} {
		if got := d.Line(test.path...); got != test.want {
			t.Errorf("Line(%v) = %d, want %d", test.path, got, test.want)
		}
	}
	if got := d.Locate(fmt.Errorf("validating compose.yaml: services.a.b.image must be a string")).Line; got != 10 {
		t.Errorf("Locate finds line %d, want 10", got)
	}
}
