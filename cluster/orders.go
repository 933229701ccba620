package cluster

// Term is one leadership: the create revision of the leader key. Every write of a
// leader compares it (law 3).
type Term struct {
	Revision int64
	Leader   HostID
}

// Orders is a set of leader writes that must happen together or not at all: one
// placement, or a move (tombstone there, placement here), with the revisions the
// decision rested on. The store refuses it as stale when any condition fails.
type Orders struct {
	Put    []Placed // Rev is ignored
	Delete []Where
	Forget []Unit  // marks of destroyed units of which nothing is left
	Drop   []Where // wishes to stop an orphan that is none any more

	Grants  []HostGrant  // at most one for a host
	Records []Record     // outcomes of reboots, for the history
	Trim    []HistoryKey // old ones that leave it

	Notified *Notified // how far outcomes were told

	If []Condition
}

// HostGrant is what the leader says of a host's reboot; a nil Grant deletes what it said.
type HostGrant struct {
	Host  HostID
	Grant *Grant
}

// Where names one placement key.
type Where struct {
	Host HostID
	Unit Unit
}

// ConditionKind says which key a Condition speaks of.
type ConditionKind int

// The kinds of conditions.
const (
	UnitAt    ConditionKind = iota + 1 // mod revision of unit/<Unit>; 0 = the head does not exist
	AliveAt                            // create revision of alive/<Host>; 0 = the host is absent
	PlacedAt                           // mod revision of to/<Host>/place/<Unit>; 0 = there is none
	HostsAt                            // mod revision of epoch/hosts, which groups, windows and the policy raise too; 0 = never written
	OrphanAt                           // mod revision of orphan/<Host>/<Unit>; 0 = nobody wants it stopped
	GrantAt                            // mod revision of to/<Host>/grant; 0 = there is none
	BootingAt                          // mod revision of boot/<Host>; 0 = there is none
)

// Condition is one revision a decision rested on.
type Condition struct {
	Kind     ConditionKind
	Host     HostID
	Unit     Unit
	Revision int64
}
