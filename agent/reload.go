package agent

import (
	"context"
	"maps"
	"path/filepath"
	"time"

	"flotilla/cluster"
)

// reloadPause keeps a reload that only systemd's own word asks for from repeating.
const reloadPause = 5 * time.Second

// fresh reports whether all that systemd has to learn are units which it never knew. It
// finds those by itself when it is asked for them; a daemon-reload runs every generator of the
// host and reads every unit anew, which takes some tenths of a second.
func (a *Agent) fresh(want Want, of map[Kind][]Action) bool {
	if a.owesLoad || len(of[Remove]) > 0 || len(of[Write]) == 0 {
		return false
	}
	for _, x := range of[Write] {
		if _, ours := a.files[x.Unit]; ours || a.seen[x.Unit].Load != "not-found" {
			return false
		}
	}
	for name := range want.Units {
		if _, ours := a.files[name]; ours && (a.seen[name].NeedReload || a.seen[name].Load == "not-found") {
			return false
		}
	}
	return true
}

// noticed asks systemd for units whose files were just put there, and reports whether it
// has read them as they are. It may have missed them, and then it is told to reload.
func (a *Agent) noticed(ctx context.Context, writes []Action) bool {
	names := make([]cluster.Unit, len(writes))
	for i, x := range writes {
		names[i] = x.Unit
	}
	seen, err := a.doors.Systemd.Units(ctx, names)
	if err != nil {
		return false // the reload says why
	}
	for _, n := range names {
		if s := seen[n]; s.Load != "loaded" || s.NeedReload || s.Fragment != filepath.Join(a.opt.UnitDir, string(n)) {
			return false
		}
	}
	maps.Copy(a.seen, seen)
	for _, n := range names {
		delete(a.dirty, n)
	}
	a.owesLoad = false
	return true
}

// reload makes systemd read the files. It is false while it has not, and then nothing
// is started.
func (a *Agent) reload(ctx context.Context, asked []Action, changed bool) (bool, error) {
	if len(asked) == 0 && !a.owesLoad {
		return true, nil
	}
	if !changed && !a.owesLoad && time.Since(a.reloadAt) < reloadPause {
		return true, nil
	}
	if err := a.step("reload"); err != nil {
		return false, err
	}
	a.owesLoad = true
	if err := a.doors.Systemd.Reload(ctx); err != nil {
		if ctx.Err() == nil {
			a.failed(Reload, "", err)
		}
		return false, nil
	}
	a.owesLoad, a.reloadAt = false, time.Now()
	a.tellAll()
	a.fence.kick.ring()
	a.did(Action{Kind: Reload})
	return true, nil
}
