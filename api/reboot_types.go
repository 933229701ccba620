package api

import (
	"time"

	"flotilla/cluster"
	"flotilla/leader/plan"
)

// RebootAsk is a request that a host reboot, in a HostPatch.
type RebootAsk struct {
	Now    bool   `json:"now,omitempty"`  // windows and freezes do not hold it up
	Soft   bool   `json:"soft,omitempty"` // only systemd restarts
	Reason string `json:"reason,omitempty"`
	ID     int64  `json:"id,omitempty"` // of the request: the id that its first host was given; 0 = a new one
}

// UnlockAsk takes a host's slot away, in a HostPatch.
type UnlockAsk struct {
	Reason     string `json:"reason"`
	Generation int64  `json:"generation,omitempty"` // of the grant that is meant; 0 = the present one
}

// FreezeAsk holds reboots up, in a patch of a host or of the policy.
type FreezeAsk struct {
	Until  time.Time `json:"until,omitzero"` // zero = until thawed
	Reason string    `json:"reason,omitempty"`
}

// PolicyPatch changes what holds for the reboots of all hosts.
type PolicyPatch struct {
	Freeze  Maybe[FreezeAsk] `json:"freeze,omitzero"`
	Webhook *string          `json:"webhook,omitempty"` // URL that outcomes are posted to; "" = none
}

// GroupPatch changes what holds for the reboots of one group's hosts.
type GroupPatch struct {
	Freeze Maybe[FreezeAsk] `json:"freeze,omitzero"`
}

// RebootLine is one line of GET /v1/reboots; exactly one field is set.
type RebootLine struct {
	Host   *HostReboot   `json:"host,omitempty"`
	Group  *RebootGroup  `json:"group,omitempty"`
	Policy *RebootPolicy `json:"policy,omitempty"`
}

// HostReboot says where a host stands on its way through a reboot. Phase is empty while there is none and was none.
type HostReboot struct {
	plan.HostReboot
	State   HostState         `json:"state"`
	Wish    int64             `json:"wish,omitempty"`   // id of the newest request that it reboot
	Served  int64             `json:"served,omitempty"` // id of the request that the present or last reboot is for
	Now     bool              `json:"now,omitempty"`
	Soft    bool              `json:"soft,omitempty"`
	ETA     time.Time         `json:"eta,omitzero"` // when it may be done, as long as the last ones took; zero = nothing to go by
	Need    cluster.NeedState `json:"need"`
	Needs   []string          `json:"needs,omitempty"` // why it needs a reboot
	Freeze  *cluster.Freeze   `json:"freeze,omitempty"`
	Rivals  []cluster.Rival   `json:"rivals,omitempty"`  // what else may reboot it
	Problem string            `json:"problem,omitempty"` // what a person should mend there
}

// RebootGroup says how a group of hosts stands.
type RebootGroup struct {
	Name    string          `json:"name"`
	Hosts   int             `json:"hosts"`
	Used    int             `json:"used"` // slots that are taken, also by hosts that are away without one
	Max     int             `json:"max"`
	Windows []string        `json:"windows,omitempty"`
	Until   time.Time       `json:"open_until,omitzero"` // a window is open until then
	Next    time.Time       `json:"next,omitzero"`       // when the next one opens
	Freeze  *cluster.Freeze `json:"freeze,omitempty"`
	Halted  string          `json:"halted,omitempty"` // why it begins no other reboot
	Problem string          `json:"problem,omitempty"`
	Gone    bool            `json:"gone,omitempty"` // a watch says so, once
}

// RebootPolicy is what holds for all groups.
type RebootPolicy struct {
	Freeze   *cluster.Freeze `json:"freeze,omitempty"`
	Webhook  string          `json:"webhook,omitempty"` // without what follows the host in its URL
	Lost     int             `json:"lost,omitempty"`    // messages that it did not take
	Trouble  string          `json:"trouble,omitempty"` // why it did not take the newest of them
	Since    time.Time       `json:"since,omitzero"`    // when that was
	Revision int64           `json:"revision,omitempty"`
}
