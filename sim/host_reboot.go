package sim

import (
	"context"
	"time"

	"flotilla/cluster"
)

// Reboots say how the hosts of a World reboot.
type Reboots struct {
	Delay  time.Duration // InhibitDelayMaxSec of all hosts
	Look   time.Duration // between two looks at what asks for a reboot
	Smooth bool          // hosts come back at once and well; else each as its fate says
	Etcd   bool          // the candidates have members of etcd
}

func (r *Reboots) look() time.Duration {
	if r == nil {
		return 0
	}
	return r.Look
}

// softReboot is a shutdown that leaves kernel and /run as they are.
const softReboot = "soft-reboot"

// boot is the present run of the host.
func (h *Host) boot() cluster.Boot {
	b := cluster.Boot{ID: h.machine.BootID()}
	if soft, err := h.machine.SoftReboots(context.Background()); err == nil {
		b.Soft = soft
	}
	return b
}

func (h *Host) softBoots(b cluster.Boot) *cluster.RebootReport {
	if h.w.opt.Reboots == nil {
		return nil
	}
	return &cluster.RebootReport{Soft: b.Soft}
}

// member is what the host says of its member of etcd.
func (h *Host) member() string {
	if h.w.opt.Reboots == nil || !h.w.opt.Reboots.Etcd || !h.candidate {
		return ""
	}
	return cluster.EtcdHealthy
}

// fate is how a host comes back from a shutdown.
type fate struct {
	away  time.Duration // without power
	again time.Duration // after which it loses its power once more; 0 = it does not
	ill   time.Duration // after the boot: systemd is degraded for so long
	heals bool          // what asked for the reboot is gone
}

// smoothAway is how long a host is without power that reboots as it should.
const smoothAway = 20 * time.Second

// nextFate draws one. One host in ten stays away for longer than any group waits.
func (h *Host) nextFate() fate {
	if h.w.opt.Reboots.Smooth {
		return fate{away: smoothAway, heals: true}
	}
	draw := func(from, to time.Duration) time.Duration {
		return from + time.Duration(h.fates.Int64N(int64(to-from)))
	}
	f := fate{away: draw(2*time.Second, 15*time.Second), heals: h.fates.IntN(5) > 0}
	switch h.fates.IntN(10) {
	case 0:
		f.away = draw(groupTimes().Return+10*time.Second, 3*groupTimes().Return)
	case 1:
		f.again = draw(500*time.Millisecond, 12*time.Second)
	case 2, 3:
		f.ill = draw(time.Second, 2*groupTimes().Gate)
	}
	return f
}

// unmended asks for a reboot, and for the next one after it.
const unmended = "a file that nothing removes"

// fell follows a shutdown that took the machine down: its process ends, and it boots anew.
func (h *Host) fell(kind string) {
	select {
	case <-h.w.ended:
		return
	default:
	}
	h.trouble(true)
	h.end(kind == softReboot)
	h.mu.Lock()
	f := h.nextFate()
	h.mu.Unlock()
	h.w.after(f.away, func() {
		h.mu.Lock()
		if f.heals && h.need != unmended {
			h.need = ""
		}
		h.rose = time.Now()
		h.ill = h.rose.Add(f.ill)
		h.mu.Unlock()
		h.rise()
		if f.again == 0 {
			h.trouble(false)
			return
		}
		h.w.after(f.again, func() {
			h.PowerOff()
			h.w.after(5*time.Second, func() { h.rise(); h.trouble(false) })
		})
	})
}

// rise boots the host; nobody waits for the outcome.
func (h *Host) rise() {
	if err := h.Boot(); err != nil && h.w.Judge != nil {
		h.w.Judge.Breach("boot %s: %v", h.name, err)
	}
}

func (h *Host) trouble(on bool) {
	if h.w.Judge != nil {
		h.w.Judge.troubled(h.truth, on)
	}
}

// sick says whether systemd calls the host degraded.
func (h *Host) sick() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Before(h.ill)
}

// illFor is for how long systemd calls the host degraded by now, 0 while it does not.
func (h *Host) illFor() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Before(h.ill) {
		return now.Sub(h.rose)
	}
	return 0
}

// Need has something ask for a reboot of the host; "" = nothing does any more.
func (h *Host) Need(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.need = what
}

// recover ends what keeps the host's reboots from going well.
func (h *Host) recover() {
	h.machine.Unblock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.need, h.ill = "", time.Time{}
}
