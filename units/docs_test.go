package units

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentation: docs/units.md has a heading and an example for every option, and all its examples are good.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/units.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for i, block := range strings.Split(string(text), "```ini\n")[1:] {
		example, _, _ := strings.Cut(block, "```")
		if !strings.HasPrefix(example, "["+Section+"]") {
			if err := VerifyDropIns("web.service", DropIns{{Name: "10-x.conf", Raw: []byte(example)}}); err != nil {
				t.Errorf("example %d:\n%s%v", i+1, example, err)
			}
			continue
		}
		f := mustParse(t, "web@1.service", "[Service]\nExecStart=/bin/true\n"+example)
		if err := f.verify(); err != nil {
			t.Errorf("example %d:\n%s%v", i+1, example, err)
		}
		for _, o := range f.Options {
			shown[o.Name] = true
		}
	}
	for _, name := range currentNames() {
		if !strings.Contains(string(text), "\n### "+name+"=") {
			t.Errorf("docs/units.md has no heading for %s=", name)
		}
		if !shown[name] {
			t.Errorf("docs/units.md has no example of %s=", name)
		}
	}
}
