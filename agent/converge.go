package agent

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"flotilla/cluster"
	"flotilla/units"
)

// Kind is what an Action does.
type Kind int

// The kinds, in the order in which they are carried out: what moved away stops
// before anything else, all files are written before one reload, and starts come
// after it.
const (
	Stop        Kind = iota + 1 // a job for systemd
	Pull                        // have the unit's images looked for, and pulled if they are missing
	Remove                      // take our files away
	Write                       // drop-in and unit file
	Reload                      // daemon-reload, once for all
	ResetFailed                 // forget a failure before a new start
	Start                       // a job for systemd
	Restart                     // a job for systemd
	Record                      // note in the applied record that the order is carried out
	Forget                      // drop the applied record of a unit that has no order and does not run
	Acknowledge                 // the tombstone is carried out
	Refuse                      // do nothing, and say why
)

// String is the kind's word in logs, metrics and applied records.
func (k Kind) String() string {
	if k < Stop || k > Refuse {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return [...]string{
		Stop: "stop", Pull: "pull", Remove: "remove", Write: "write", Reload: "reload", ResetFailed: "reset-failed", Start: "start",
		Restart: "restart", Record: "record", Forget: "forget", Acknowledge: "acknowledge", Refuse: "refuse",
	}[k]
}

// Action is one step towards what was ordered: what, which unit, why. The reason
// of a Refuse is the sentence that the unit's status shows.
type Action struct {
	Kind   Kind
	Unit   cluster.Unit // empty for Reload
	Reason string
}

// Want is what is ordered: one complete view, made ready for this host.
type Want struct {
	Units map[cluster.Unit]Wanted
}

// Wanted is one placement with what it takes to obey it.
type Wanted struct {
	cluster.Placement
	Refused string // why the order cannot be obeyed at all; then the rest is empty
	DropIn  []byte // what the drop-in must hold
	Ready   bool   // the bytes of the unit file and of its drop-ins are at hand
	Hold    string // why it must not be started now; "" = it may
	Images  []Image
}

// Image is a container image that is on the host before a unit of it is started.
type Image struct {
	Runtime string // docker or podman
	Ref     string
}

// Have is what is there.
type Have struct {
	Boot  string // id of this boot; applied records of another one count for nothing
	Dir   string // the folder of our unit files
	Units map[cluster.Unit]Found

	Images map[Image]bool // that are known to be there; all others have to be looked for
}

// Found is one unit as it is on this host.
type Found struct {
	Observed
	Ours      bool       // its file and our drop-in stand in our folder
	Blob      units.Hash // of its file, if ours
	DropIn    []byte     // of ours
	DropIns   units.Hash // of the user's that we wrote, as one bundle; "" = none
	Elsewhere string     // where the host has a unit of this name of its own
	Applied   Applied
	Flying    Kind // the Stop, Start or Restart whose job has not ended; 0 = none
	Later     bool // an earlier try went wrong and the next is not due yet
}

// Observed is what systemd says of one unit.
type Observed struct {
	units.State
	Fragment   string // path of the unit file that systemd uses
	Invocation string // new at each start
	NeedReload bool
	Since      time.Time     // for people: the wall clock may be set
	Changed    time.Duration // the same on CLOCK_MONOTONIC; 0 = never
	Restarts   int           // automatic ones, by systemd
	ExitStatus int
}

// Stopped reports whether nothing of the unit runs.
func (o Observed) Stopped() bool {
	return o.Active == "" || o.Active == "inactive" || o.Active == "failed"
}

// starting reports whether a start may be under way of which nothing is seen yet: its
// job was about to be enqueued, and systemd may carry it out at any moment.
func (f Found) starting() bool {
	if f.Flying == Start || f.Flying == Restart {
		return true
	}
	a := f.Applied.settled(f.Observed)
	return a.Doing == Start || a.Doing == Restart
}

// unseen reports whether a start was handed to systemd of which nothing is seen yet. A stop
// waits for it: jobs are handed over side by side, and the stop might come first.
func (f Found) unseen() bool {
	return (f.Flying == Start || f.Flying == Restart) && f.Applied.settled(f.Observed).Doing != 0
}

// supervised reports whether a start would change nothing.
func (o Observed) supervised() bool { return !o.Stopped() && o.Active != "deactivating" }

// Applied is what was carried out for a unit in this boot. It is written before
// a job is enqueued (Doing) and after its end, so that each count of the user's is obeyed
// once, whenever the process dies.
type Applied struct {
	Boot       string        `json:"boot"`
	Generation int64         `json:"generation,omitempty"` // of the placement that was obeyed
	Order      cluster.Order `json:"order,omitempty"`
	Run        int64         `json:"run,omitempty"`
	Restart    int64         `json:"restart,omitempty"`
	Launched   bool          `json:"launched,omitempty"` // the order that was obeyed asked for it to run
	Orphan     bool          `json:"orphan,omitempty"`   // seen running without an order
	Doing      Kind          `json:"doing,omitempty"`    // the job that was about to be enqueued
	Before     string        `json:"before,omitempty"`   // the invocation seen before it
	ToRun      int64         `json:"to_run,omitempty"`   // what Run and Restart will be after it
	ToRestart  int64         `json:"to_restart,omitempty"`
}

// round collects the actions of one decision.
type round struct {
	have   Have
	out    []Action
	reload string // why a reload is needed; "" = it is not
}

// Converge decides what to do on one host. It is a pure function: the same want
// and have give the same actions, and when they were carried out it gives none.
// Units that are ours and have no order are kept.
func Converge(want Want, have Have) []Action {
	r := &round{have: have}
	for name, w := range want.Units {
		f := r.found(name)
		switch {
		case w.Refused != "":
			r.add(Refuse, name, w.Refused)
		case w.State == cluster.Gone:
			r.gone(name, w, f)
		case f.foreign(r.path(name)) != "":
			r.add(Refuse, name, "name belongs to the host: "+f.foreign(r.path(name)))
		case w.State == cluster.Loaded:
			r.loaded(name, w, f)
		case w.State == cluster.Launched || w.State == cluster.Draining:
			r.launched(name, w, f)
		default:
			r.add(Refuse, name, fmt.Sprintf("order %s is unknown to this version of flotilla", w.State))
		}
	}
	for name := range have.Units {
		if _, ordered := want.Units[name]; !ordered {
			r.unordered(name, r.found(name))
		}
	}
	if r.reload != "" {
		r.add(Reload, "", r.reload)
	}
	slices.SortFunc(r.out, func(a, b Action) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Unit, b.Unit)) })
	return r.out
}

func (r *round) add(k Kind, name cluster.Unit, reason string) {
	r.out = append(r.out, Action{k, name, reason})
}

func (r *round) path(name cluster.Unit) string { return r.have.Dir + "/" + string(name) }

// found is what is known of a unit, without the records of another boot.
func (r *round) found(name cluster.Unit) Found {
	f := r.have.Units[name]
	if f.Applied.Boot != r.have.Boot {
		f.Applied = Applied{}
	}
	return f
}

// foreign is where the host has this unit of its own; such a unit is not touched.
func (f Found) foreign(own string) string {
	if f.Elsewhere != "" {
		return f.Elsewhere
	}
	if f.Fragment != own && f.Fragment != "" {
		return f.Fragment
	}
	if !f.Ours && f.Fragment == "" && f.Load == "loaded" && !f.Stopped() {
		return "made there without a file, by systemd or the kernel"
	}
	return ""
}

// gone carries out a tombstone: stop, take the files away, acknowledge.
func (r *round) gone(name cluster.Unit, w Wanted, f Found) {
	if f.Fragment != "" && f.Fragment != r.path(name) { // what runs there is the host's
		f.Observed = Observed{}
	}
	if f.unseen() {
		return
	}
	if f.starting() || !f.Stopped() && (f.Ours || f.Fragment != "") {
		if f.Flying != Stop && !f.Later {
			r.add(Stop, name, w.Reason)
		}
		return
	}
	if f.Ours {
		if f.Later {
			return
		}
		r.add(Remove, name, w.Reason)
		r.reload = "files were removed"
		if f.Failed() {
			r.add(ResetFailed, name, w.Reason)
		}
	}
	if f.Ours || f.Applied.Order != cluster.Gone || f.Applied.Generation != w.Generation {
		r.add(Acknowledge, name, w.Reason)
	}
}

// loaded wants the files there and the unit not started. A unit that was launched
// before is stopped; one that something else on the host started is not.
func (r *round) loaded(name cluster.Unit, w Wanted, f Found) {
	if f.unseen() {
		return
	}
	a := f.Applied.settled(f.Observed)
	if f.starting() || !f.Stopped() && (a.Launched || a.Doing == Stop && a.Before == f.Invocation) {
		if f.Flying != Stop && !f.Later {
			r.add(Stop, name, w.Reason)
		}
		return
	}
	if !r.files(name, w, f) {
		return
	}
	done := Applied{Boot: r.have.Boot, Generation: w.Generation, Order: w.State, Run: w.Run, Restart: w.Restart}
	if f.Applied != done && r.imaged(name, w) {
		r.add(Record, name, "loaded")
	}
}

// launched wants the files there, and each Run and Restart carried out once.
func (r *round) launched(name cluster.Unit, w Wanted, f Found) {
	if f.Ours && f.Blob != w.Blob && f.supervised() && !r.imaged(name, w) {
		return // systemd may start it anew at any moment: with the file whose images are there
	}
	if !r.files(name, w, f) {
		return
	}
	if f.Flying == Stop {
		return // its end decides whether a start is needed
	}
	a := f.Applied.settled(f.Observed)
	starting := a.Doing == Start || a.Doing == Restart
	if starting && f.Flying == a.Doing && a.ToRun == w.Run && a.ToRestart >= w.Restart {
		return // under way
	}
	switch {
	case a.Launched && !a.Orphan && w.Restart > max(a.Restart, pendingRestart(a)):
		r.begin(Restart, name, w, f, "restart was asked for")
	case a.Doing == Restart:
		r.begin(Restart, name, w, f, "the restart was not carried out yet")
	case f.supervised():
		r.record(name, w, f, "runs")
	case !a.Launched || a.Orphan || a.Run != w.Run:
		r.begin(Start, name, w, f, w.Reason)
	default:
		r.record(name, w, f, "ran as ordered")
	}
}

// pendingRestart is the count that an unfinished restart stands for.
func pendingRestart(a Applied) int64 {
	if a.Doing == Restart {
		return a.ToRestart
	}
	return 0
}

// settled folds a job that was about to be enqueued into the record if it surely
// was: the unit has another invocation than before it.
func (a Applied) settled(o Observed) Applied {
	if (a.Doing != Start && a.Doing != Restart) || o.Invocation == "" || o.Invocation == a.Before {
		return a
	}
	a.Run, a.Restart, a.Launched = a.ToRun, a.ToRestart, true
	a.Doing, a.Before, a.ToRun, a.ToRestart = 0, "", 0, 0
	return a
}

// begin starts or restarts a unit unless it must wait.
func (r *round) begin(k Kind, name cluster.Unit, w Wanted, f Found, reason string) {
	switch {
	case w.Hold != "":
		r.add(Refuse, name, w.Hold)
	case f.Later || !r.imaged(name, w):
		return
	default:
		if f.Failed() {
			r.add(ResetFailed, name, reason)
		}
		r.add(k, name, reason)
	}
}

// imaged reports whether the images of a unit are there. While they are not, that is all it waits for.
func (r *round) imaged(name cluster.Unit, w Wanted) bool {
	for _, i := range w.Images {
		if !r.have.Images[i] {
			r.add(Pull, name, "it needs the image "+i.Ref)
			return false
		}
	}
	return true
}

// record notes that a launched unit is as ordered.
func (r *round) record(name cluster.Unit, w Wanted, f Found, reason string) {
	if f.Applied != carriedOut(r.have.Boot, w.Placement) {
		r.add(Record, name, reason)
	}
}

// carriedOut is the record of a placement that was obeyed.
func carriedOut(boot string, p cluster.Placement) Applied {
	return Applied{
		Boot: boot, Generation: p.Generation, Order: p.State, Run: p.Run, Restart: p.Restart,
		Launched: p.State == cluster.Launched || p.State == cluster.Draining,
	}
}

// files brings the unit's files to what is wanted. It says whether the rest may
// follow; files that are about to be written count, because writes come first.
func (r *round) files(name cluster.Unit, w Wanted, f Found) bool {
	if f.Ours && f.Blob == w.Blob && f.DropIns == w.DropIns && bytes.Equal(dropInBody(f.DropIn), dropInBody(w.DropIn)) {
		if f.NeedReload || f.Load == "not-found" {
			r.reload = "systemd has not read the files yet"
		}
		return true
	}
	if !w.Ready {
		r.add(Refuse, name, "waiting for the unit file's content "+contents(w)+" from the store")
		return false
	}
	if f.Later {
		return false
	}
	r.add(Write, name, w.Reason)
	r.reload = "files were written"
	return true
}

// contents names what a placement is made of.
func contents(w Wanted) string {
	if w.DropIns == "" {
		return w.Blob.Short()
	}
	return w.Blob.Short() + " and its drop-ins " + w.DropIns.Short()
}

// unordered keeps a unit that has no order. One that does not run is forgotten,
// so that a later order starts it.
func (r *round) unordered(name cluster.Unit, f Found) {
	a := f.Applied
	switch {
	case f.Ours && !f.Stopped() && f.Fragment == r.path(name):
		if !a.Orphan || a.Doing != 0 && f.Flying == 0 {
			r.add(Record, name, "runs without an order: kept")
		}
	case a != Applied{} && f.Flying == 0:
		r.add(Forget, name, "has no order and does not run")
	}
}
