package units

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkVerifyHostile reads the largest files, which would be slow to check if
// anything here took time that grows with the square of the file.
func BenchmarkVerifyHostile(b *testing.B) {
	const size = MaxContent - 1024 // the last line may go beyond it
	numbered := func(format string) string {
		var s strings.Builder
		for i := 0; s.Len() < size; i++ {
			fmt.Fprintf(&s, format, i)
		}
		return s.String()
	}
	for _, file := range []struct{ name, in string }{
		{"faults", "[A]\n" + strings.Repeat("x\n", size/2)},
		{"continuations", "[A]\nb=c" + strings.Repeat("\\\n", size/2)},
		{"commands", "[Service]\nExecStart=" + numbered("a%d/b ; ")},
		{"resets", "[Service]\n" + strings.Repeat("ExecStart=a\n", size/24) + strings.Repeat("ExecStop=\n", size/20)},
		{"metadata", "[X-Flotilla]\n" + numbered("MachineMetadata=k%d=v\n")},
		{"globs", "[X-Flotilla]\nMachineOf=" + numbered("a%d.service ")[:size/2] + "\nConflicts=" + numbered("*a*b*c%d ")[:size/2] + "\n"},
		{"comparisons", "[X-Flotilla]\n" + numbered("MachineMetadata=k in (v%d,w)\n")},
		{"choices", "[X-Flotilla]\nMachineMetadata=k in (" + numbered("v%d,") + "w)\n"},
		{"absences", "[X-Flotilla]\n" + numbered("MachineMetadata=!k%d\n")[:size/2] + numbered("MachineMetadata=k%d\n")[:size/3]},
		{"preferences", "[X-Flotilla]\n" + numbered("Prefer=k%d>1\n")},
		{"images", "[X-Flotilla]\nImage=" + numbered("a%d/b:c ") + "\n"},
		{"replaces", "[X-Flotilla]\nReplaces=" + numbered("a%d*.service ")[:size/2] + "\nMachineOf=" + numbered("a%d.service ")[:size/2] + "\n"},
		{"spread", "[X-Flotilla]\nSpread=" + numbered("a%d ") + "\n"},
		{"sizes", "[Service]\nMemoryMax=" + numbered("%dG ") + "\n"},
		{"sections", numbered("[s%d]\n")},
		{"options", "[X-Flotilla]\n" + numbered("opt%d=\n")},
	} {
		b.Run(file.name, func(b *testing.B) {
			raw := []byte(file.in)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				if Verify("web.service", raw) == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
