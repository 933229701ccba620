package units

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// DropIn is one file of a unit's drop-in folder, NAME.service.d/FILE.conf (systemd.unit(5)).
type DropIn struct {
	Name string `json:"name"` // of the file, ending in .conf
	Raw  []byte `json:"raw"`
}

// DropIns are the user's drop-ins of one unit, in the order of their names, which is the order in which
// systemd reads them. They travel as one content: Bundle writes it, ParseDropIns reads it.
type DropIns []DropIn

// Bundle is the content that stands for the drop-ins, nil for none. The same drop-ins make the same bytes.
func (d DropIns) Bundle() ([]byte, error) {
	if len(d) == 0 {
		return nil, nil
	}
	sorted := slices.Clone(d)
	slices.SortFunc(sorted, func(a, b DropIn) int { return strings.Compare(a.Name, b.Name) })
	return json.Marshal(sorted)
}

// ParseDropIns reads what Bundle wrote.
func ParseDropIns(bundle []byte) (DropIns, error) {
	var d DropIns
	if err := json.Unmarshal(bundle, &d); err != nil {
		return nil, fmt.Errorf("read drop-ins: %w", err)
	}
	return d, nil
}
