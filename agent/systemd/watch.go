package systemd

import (
	"context"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

const (
	// maxRules is the number of units that get a match rule of their own; the
	// system bus allows 512 rules in all. Beyond it we hear of every unit and
	// throw the others' signals away ourselves.
	maxRules = 400

	firstRedial = 100 * time.Millisecond
	lastRedial  = 5 * time.Second
)

// Changes tells the names of units whose state may differ from when it was last
// told: sorted, each once, nil for "all". It says "all" first, after every
// daemon-reload and after a lost connection came back. A receiver that is slow
// misses nothing and gets one piece. The channel is closed when ctx ends.
//
// It follows properties and jobs, not the loading and unloading of units:
// asking for a unit's state makes systemd load it, so these would never end.
func (m *Manager) Changes(ctx context.Context) (<-chan []string, error) {
	changed := NewChanged()
	m.mu.Lock()
	m.heard[changed] = struct{}{}
	m.mu.Unlock()
	out := make(chan []string)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		m.keepConnected(ctx)
	}()
	go func() {
		changed.Tell(ctx, out)
		<-kept
		m.mu.Lock()
		delete(m.heard, changed)
		m.mu.Unlock()
		close(out)
	}()
	return out, nil
}

// keepConnected connects again whenever the connection breaks, until ctx ends.
func (m *Manager) keepConnected(ctx context.Context) {
	wait := firstRedial
	for ctx.Err() == nil {
		b, err := m.bus(ctx)
		if err == nil {
			wait = firstRedial
			select {
			case <-ctx.Done():
				return
			case <-b.conn.Context().Done():
			}
			m.log.Warn("the connection to systemd ended, connecting again")
		} else if ctx.Err() == nil {
			m.log.Warn("systemd is out of reach, trying again", "after", wait, "err", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		wait = min(2*wait, lastRedial)
	}
}

// Watch says which units Changes is about, in place of the ones before; nil means
// every unit. The bus then wakes us for these alone, which keeps an idle agent idle.
func (m *Manager) Watch(ctx context.Context, names []string) error {
	var owned map[string]bool
	if names != nil {
		owned = make(map[string]bool, len(names))
		for _, name := range names {
			owned[name] = true
		}
	}
	m.mu.Lock()
	m.owned = owned
	m.mu.Unlock()
	b, err := m.bus(ctx)
	if err != nil {
		return err
	}
	return m.rewatch(ctx, b)
}

// rewatch brings a connection's match rules to the units that are watched: new
// rules first, so that nothing is missed between.
func (m *Manager) rewatch(ctx context.Context, b *bus) error {
	m.watching.Lock()
	defer m.watching.Unlock()
	m.mu.Lock()
	want := unitRules(m.owned)
	m.mu.Unlock()
	for rule := range want {
		if b.rules[rule] {
			continue
		}
		if err := b.match(ctx, "AddMatch", rule); err != nil {
			return err
		}
		b.rules[rule] = true
	}
	for rule := range b.rules {
		if want[rule] {
			continue
		}
		if err := b.match(ctx, "RemoveMatch", rule); err != nil {
			return err
		}
		delete(b.rules, rule)
	}
	return nil
}

// unitRules match the changes of a unit's generic properties; systemd sends
// these with each change of the specific ones.
func unitRules(owned map[string]bool) map[string]bool {
	const rule = "type='signal',sender='%s',interface='%s',member='PropertiesChanged',arg0='%s',%s='%s'"
	if owned == nil || len(owned) > maxRules {
		every := fmt.Sprintf(rule, service, propsFace, unitFace, "path_namespace", unitPrefix[:len(unitPrefix)-1])
		return map[string]bool{every: true}
	}
	rules := make(map[string]bool, len(owned))
	for name := range owned {
		rules[fmt.Sprintf(rule, service, propsFace, unitFace, "path", unitObject(name))] = true
	}
	return rules
}

// signal takes in one signal of a connection.
func (m *Manager) signal(b *bus, s *dbus.Signal) {
	switch s.Name {
	case propsFace + ".PropertiesChanged":
		if name, ok := unitName(s.Path); ok {
			m.tell(name)
		}
	case managerFace + ".JobRemoved":
		var id uint32
		var job dbus.ObjectPath
		var unit, outcome string
		if err := dbus.Store(s.Body, &id, &job, &unit, &outcome); err != nil {
			m.log.Warn("systemd sent a JobRemoved signal that cannot be read", "err", err)
			return
		}
		b.waiters.ended(job, outcome)
		m.tell(unit)
	case managerFace + ".Reloading":
		if len(s.Body) == 1 && s.Body[0] == false {
			m.tellAll()
		}
	}
}

func (m *Manager) tell(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.owned != nil && !m.owned[name] {
		return
	}
	for c := range m.heard {
		c.Add(name)
	}
}

func (m *Manager) tellAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.heard {
		c.AddAll()
	}
}
