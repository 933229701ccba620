package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"flotilla/api"
	"flotilla/cluster"
	"flotilla/leader/plan"
	"flotilla/units"
)

// The section list: what a person waits for who lists a large cluster.
const (
	listHosts = 1000
	listUnits = 100_000
	listRuns  = 5
	listBeat  = 100 * time.Millisecond // between two changes of the cluster
)

// list measures flotilla list-units, as a program, against an API over a unix socket with a cluster that
// changes all the time.
func list(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp("", "flotilla-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := &largeMirror{snap: largeCluster(listHosts, listUnits)}
	go m.beat(ctx)
	socket := filepath.Join(dir, "s")
	if err := serveLarge(ctx, m, socket); err != nil {
		return err
	}
	for range listRuns { // the garbage collector lets the daemon's memory take its size
		if _, _, err := listOnce(ctx, socket, listUnits); err != nil {
			return err
		}
	}
	before := resident()
	peak := make(chan int, 1)
	watching, enough := context.WithCancel(ctx)
	go func() { peak <- peakOf(watching) }()
	var first, all []time.Duration
	for range listRuns {
		f, a, err := listOnce(ctx, socket, listUnits)
		if err != nil {
			enough()
			return errors.Join(err, ctx.Err())
		}
		first, all = append(first, f), append(all, a)
	}
	enough()
	f, a, grown := spreadOf(first), spreadOf(all), float64(<-peak-before)/1024
	what := fmt.Sprintf("flotilla list-units at %d units on %d hosts, from the prompt", listUnits, listHosts)
	b.add(row{what: what + " to the first row", figure: f.String(), aim: "< 200 ms", met: f.median < 200*time.Millisecond})
	b.add(row{what: what + " to the prompt", figure: a.String(), aim: "< 3.00 s", met: a.median < 3*time.Second})
	b.add(row{
		what:   fmt.Sprintf("resident memory of the daemon's process (%.0f MB with the cluster) over %d more lists", float64(before)/1024, listRuns),
		figure: fmt.Sprintf("%+.1f MB at most", grown), aim: "flat: < 10 %", met: grown < float64(before)/1024/10,
	})
	return nil
}

// listOnce runs the program, and returns when its first row came and when it ended.
func listOnce(ctx context.Context, socket string, rows int) (first, all time.Duration, err error) {
	cmd := exec.CommandContext(ctx, "bin/flotilla", "list-units", "--endpoint", "unix://"+socket)
	var says bytes.Buffer
	cmd.Stderr = &says
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	n := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n++; n == 2 { // the header is the first line
			first = time.Since(began)
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return 0, 0, fmt.Errorf("flotilla list-units: %w: %s", err, says.String())
	}
	if n != rows+1 {
		return 0, 0, fmt.Errorf("flotilla list-units printed %d lines, want %d and a header", n, rows)
	}
	return first, time.Since(began), nil
}

// resident is this process's resident memory in kB.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(text))
	pages, err := strconv.Atoi(f[1])
	if err != nil {
		return 0
	}
	return pages * os.Getpagesize() / 1024
}

// peakOf is the largest resident memory seen until ctx ends.
func peakOf(ctx context.Context) int {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	most := resident()
	for {
		select {
		case <-tick.C:
			most = max(most, resident())
		case <-ctx.Done():
			return most
		}
	}
}

// largeCluster is a cluster in which all runs as wanted.
func largeCluster(hosts, n int) *cluster.Snapshot {
	raw := []byte("[Unit]\nDescription=A sleeper\n[Service]\nExecStart=/bin/sleep inf\n")
	hash, now := units.HashOf(raw), time.Now()
	s := cluster.NewSnapshot()
	s.Revision, s.Complete, s.Watched, s.Loaded = 1, true, now, 1
	ids := make([]cluster.HostID, hosts)
	for i := range ids {
		id := cluster.HostID(fmt.Sprintf("%032x", i+1))
		ids[i] = id
		address := fmt.Sprintf("10.0.%d.%d:7117", i/250, i%250+1)
		s.SetHostInfo(id, &cluster.HostInfo{Boot: "b", Name: fmt.Sprintf("h%04d", i), Address: address, Version: "0.1.0", Labels: map[string]string{"zone": strconv.Itoa(i % 3)}}, now)
		s.SetAlive(id, &cluster.Alive{Address: address, Boot: "b"}, 1)
	}
	for i := range n {
		name, host := cluster.Unit(fmt.Sprintf("service-%06d.service", i)), ids[i%hosts]
		head, err := plan.NewHead(name, raw, nil)
		if err != nil {
			panic(err) // the content is a constant
		}
		head.Rev = 1
		s.SetUnit(&head)
		s.SetPlaced(&cluster.Placed{Host: host, Unit: name, Rev: 1, Placement: cluster.Placement{
			Generation: 1, State: cluster.Launched, Blob: hash, Reason: "fewest units (99) of 1000 hosts",
		}})
		s.SetStatus(cluster.Where{Host: host, Unit: name}, &cluster.Status{
			Generation: 1, Order: cluster.Launched, Blob: hash, Boot: "b", Since: now, Invocation: fmt.Sprintf("%032x", i),
			State: units.State{Load: "loaded", Active: "active", Sub: "running", Result: "success"},
		})
	}
	return s
}

// largeMirror is a mirror of a cluster that changes all the time.
type largeMirror struct {
	mu   sync.RWMutex
	snap *cluster.Snapshot
}

func (m *largeMirror) beat(ctx context.Context) {
	tick := time.NewTicker(listBeat)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
			m.mu.Lock()
			m.snap.Revision++
			m.mu.Unlock()
		case <-ctx.Done():
		}
	}
}

// Read shows the cluster.
func (m *largeMirror) Read(f func(*cluster.Snapshot)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f(m.snap)
}

// Subscribe wakes nobody: lists do not wait.
func (m *largeMirror) Subscribe() (<-chan struct{}, func()) { return nil, func() {} }

// WaitRevision does not wait.
func (m *largeMirror) WaitRevision(context.Context, int64) error { return nil }

// Err is never one.
func (m *largeMirror) Err() error { return nil }

// alone is a daemon without others.
type alone struct{}

// Transport reaches nobody.
func (alone) Transport() http.RoundTripper { return http.DefaultTransport }

// Leader is nobody.
func (alone) Leader(context.Context) (cluster.HostID, string) { return "", "" }

// serveLarge serves the API over a unix socket until ctx ends.
func serveLarge(ctx context.Context, m api.Mirror, socket string) error {
	server := api.New(api.Options{
		Name: "bench", Version: "0.1.0", Mirror: m, Peers: alone{}, Now: time.Now, Admit: http.NotFoundHandler(), Metrics: http.NotFoundHandler(),
		Peer:  func(*tls.ConnectionState) (api.Role, string) { return api.RoleStranger, "" },
		Local: func() api.Local { return api.Local{Name: "bench"} }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Classify: func(error) (int, string) { return http.StatusInternalServerError, "" },
	})
	l, err := new(net.ListenConfig).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: server.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(l) }() // it ends with Close
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	return nil
}
