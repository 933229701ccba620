package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"time"

	"flotilla/api/apitest"
	"flotilla/cluster"
	"flotilla/cluster/store"
	"flotilla/leader/plan"
	"flotilla/units"
)

// placing is one case of the section plan.
type placing struct {
	hosts, units int
	spread       bool    // the units are a family that is spread over a label
	aim          float64 // placements per second
	nomad        float64 // the same of Nomad; 0 = not measured
}

// planRuns is how often the planner alone is measured.
const planRuns = 5

// planning measures placements: decided by the planner alone, and written durably by a leader.
func planning(ctx context.Context, b *bench) error {
	planAlone(b)
	for _, c := range []placing{
		{hosts: 100, units: 10_000, aim: 20_000},
		{hosts: 1000, units: 100_000, aim: 20_000},
		{hosts: 300, units: 10_000, spread: true, aim: 1000, nomad: 69},
	} {
		took, cpu, err := placeDurably(ctx, c)
		if err != nil {
			return err
		}
		rate := float64(c.units) / took.Seconds()
		r := row{
			what:   fmt.Sprintf("placements written durably, %d units on %d hosts%s (%s)", c.units, c.hosts, c.with(), places[true]),
			figure: fmt.Sprintf("%.0f/s, %s each", rate, cost(cpu, c.units)),
			aim:    fmt.Sprintf("≥ %.0f/s", c.aim), met: rate >= c.aim,
		}
		if c.nomad > 0 {
			r.anchor, r.ratio = fmt.Sprintf("Nomad %.0f/s", c.nomad), times(rate, c.nomad)
		}
		b.add(r)
	}
	return nil
}

func (c placing) with() string {
	if c.spread {
		return ", spread over 10 zones"
	}
	return ""
}

// planAlone measures Plan on a cluster in memory, none of whose units has a host yet.
func planAlone(b *bench) {
	const hosts, count, aim = 1000, 100_000, 200_000
	s := cluster.NewSnapshot()
	now := time.Now()
	s.Complete, s.Watched, s.Revision = true, now, 1
	for i := range hosts {
		id := benchHost(i)
		s.SetHostInfo(id, &cluster.HostInfo{Name: hostName(i), Boot: "b"}, now)
		s.SetAlive(id, &cluster.Alive{Boot: "b"}, int64(i+1))
	}
	file, err := units.Parse("u.service", []byte(sleepUnit))
	if err != nil {
		panic(err) // it is ours
	}
	for i := range count {
		u := &cluster.UnitHead{Name: benchUnit(i), File: file, Rev: int64(i + 1)}
		u.Spec.Target, u.Spec.Blob = units.Launched, units.HashOf([]byte(sleepUnit))
		s.SetUnit(u)
	}
	var took []time.Duration
	var cpu time.Duration
	for range planRuns {
		runtime.GC()
		began, before := time.Now(), processorTime()
		made := len(plan.Plan(s, plan.Options{}, now).Decisions)
		took = append(took, time.Since(began)*count/time.Duration(max(made, 1)))
		cpu += processorTime() - before
	}
	rate := count / spreadOf(took).median.Seconds()
	b.add(row{
		what:   fmt.Sprintf("the planner alone, %d units without a host on %d hosts (%d times)", count, hosts, planRuns),
		figure: fmt.Sprintf("%.0f/s, %s each", rate, cost(cpu, planRuns*count)), aim: fmt.Sprintf("≥ %d/s", aim), met: rate >= aim,
		anchor: "SwarmKit 6,000/s, Nomad 5,000/s", ratio: times(rate, 6000),
	})
}

const sleepUnit = "[Service]\nExecStart=/bin/sleep infinity\n"

func hostName(i int) string          { return fmt.Sprintf("b%04d", i) }
func benchHost(i int) cluster.HostID { return cluster.HostID(fmt.Sprintf("%032x", 0xb0000+i)) }
func benchUnit(i int) cluster.Unit   { return cluster.Unit(fmt.Sprintf("u%06d.service", i)) }
func benchFamily(i int) cluster.Unit {
	return cluster.Unit(fmt.Sprintf("app%02d@%04d.service", i%20, i/20))
}

func (c placing) name(i int) cluster.Unit {
	if c.spread {
		return benchFamily(i)
	}
	return benchUnit(i)
}

func (c placing) content() []byte {
	if c.spread {
		return []byte(sleepUnit + "[X-Flotilla]\nSpread=zone\n")
	}
	return []byte(sleepUnit)
}

// placeDurably measures from a leader's candidacy, with all units known and none placed, until its
// mirror shows all placements in etcd.
func placeDurably(ctx context.Context, c placing) (took, cpu time.Duration, err error) {
	e, err := startEtcd(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("start etcd: %w", err)
	}
	defer func() { err = errors.Join(err, e.close()) }()
	cl, err := apitest.Over(e.client(), 1)
	if err != nil {
		return 0, 0, err
	}
	defer cl.Close()
	if err := errors.Join(c.addHosts(ctx, e.client()), c.addUnits(ctx, cl.Store)); err != nil {
		return 0, 0, err
	}
	if err := cl.Wait(ctx, func(s *cluster.Snapshot) bool { return len(s.Units) == c.units && len(s.Hosts) > c.hosts }); err != nil {
		return 0, 0, err
	}
	runtime.GC()
	began, before := time.Now(), processorTime()
	if err := cl.Lead(); err != nil {
		return 0, 0, err
	}
	if err := cl.Wait(ctx, func(s *cluster.Snapshot) bool { return len(s.Placed) == c.units }); err != nil {
		return 0, 0, err
	}
	return time.Since(began), processorTime() - before, nil
}

// addHosts writes what living hosts say of themselves.
func (c placing) addHosts(ctx context.Context, backend store.Backend) error {
	const each = store.MaxOps / 2
	for at := 0; at < c.hosts; at += each {
		var t store.Txn
		for i := at; i < min(at+each, c.hosts); i++ {
			id := benchHost(i)
			t.Then = append(t.Then,
				store.Op{Key: store.DefaultPrefix + "/hostinfo/" + string(id), Value: []byte(fmt.Sprintf(`{"boot":"b","name":%q,"labels":{"zone":"z%d"}}`, hostName(i), i%10))},
				store.Op{Key: store.DefaultPrefix + "/alive/" + string(id), Value: []byte(`{"boot":"b","nonce":"n","version":"` + apitest.Version + `"}`)})
		}
		if _, err := backend.Txn(ctx, t); err != nil {
			return fmt.Errorf("write hosts: %w", err)
		}
	}
	return nil
}

// addUnits submits and launches all units.
func (c placing) addUnits(ctx context.Context, s *store.Store) error {
	raw := c.content()
	spec := cluster.UnitSpec{Blob: units.HashOf(raw), Target: units.Launched, Run: 1}
	const each = 2000
	for at := 0; at < c.units; at += each {
		var names []cluster.Unit
		for i := at; i < min(at+each, c.units); i++ {
			names = append(names, c.name(i))
		}
		for _, r := range s.EditUnits(ctx, names, func(int, *cluster.UnitSpec, int64) (store.Edit, error) {
			return store.Edit{Spec: &spec, Raw: raw}, nil
		}) {
			if r.Err != nil {
				return r.Err
			}
		}
	}
	return nil
}

// cost is what each of so many things took of the processor.
func cost(cpu time.Duration, n int) string {
	return fmt.Sprintf("%.1f µs of CPU", float64(cpu.Nanoseconds())/1000/float64(n))
}

// processorTime is what this process used: etcd, leader and bench together.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
