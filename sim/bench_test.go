package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// small is a small case.
func small(t testing.TB, hosts, units, kill int) BenchOptions {
	return BenchOptions{Dir: folder(t), Hosts: hosts, Units: units, Kill: kill, Window: 2 * time.Minute}
}

// TestBench plays every case of the bench at a small size, in virtual time.
func TestBench(t *testing.T) {
	type run = func(context.Context, BenchOptions) (BenchResult, error)
	tests := []struct {
		name  string
		run   run
		opt   BenchOptions
		check func(*testing.T, BenchResult)
	}{
		{"starts", BenchStarts, small(t, 4, 60, 0), func(t *testing.T, r BenchResult) {
			if r.Known < r.Took || r.Known > 5*time.Second {
				t.Errorf("BenchStarts = %+v, want running before known, and both within five seconds", r)
			}
		}},
		{"kill", BenchKill, small(t, 7, 42, 2), func(t *testing.T, r BenchResult) {
			if r.Moved != 12 || r.Other != 0 {
				t.Errorf("BenchKill = %d moved and %d other jobs, want 12 and 0", r.Moved, r.Other)
			}
		}},
		{"storm", BenchStorm, small(t, 4, 20, 2), func(t *testing.T, r BenchResult) {
			if r.Moved != 10 || r.Other != 0 {
				t.Errorf("BenchStorm = %d moved and %d other jobs, want 10 and 0", r.Moved, r.Other)
			}
		}},
		{"idle", BenchIdle, small(t, 3, 30, 0), func(t *testing.T, r BenchResult) {
			if r.Puts != 0 {
				t.Errorf("BenchIdle = %d writes, want none", r.Puts)
			}
		}},
		{"one", BenchOne, small(t, 3, 10, 0), func(t *testing.T, r BenchResult) {
			if r.Known < r.Took || r.Known > time.Second { // jobs take no time here, and the store next to none
				t.Errorf("BenchOne = %+v, want running before known, and both within a second", r)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, err := tt.run(context.Background(), tt.opt)
				if err != nil {
					t.Fatal(err)
				}
				tt.check(t, r)
			})
		})
	}
}

// report hands the figures of a case to the benchmark's line.
func report(b *testing.B, run func(context.Context, BenchOptions) (BenchResult, error), opt BenchOptions) {
	b.Helper()
	for b.Loop() {
		opt.Dir = folder(b)
		r, err := run(b.Context(), opt)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Took.Seconds(), "running-s")
		b.ReportMetric(r.Known.Seconds(), "known-s")
		if r.Window > 0 {
			b.ReportMetric(r.PerSecond(), "puts/s")
		}
	}
}

func BenchmarkStart500On10(b *testing.B) { report(b, BenchStarts, BenchOptions{Hosts: 10, Units: 500}) }

func BenchmarkStart5000On10(b *testing.B) {
	report(b, BenchStarts, BenchOptions{Hosts: 10, Units: 5000})
}

func BenchmarkKill30Of100(b *testing.B) {
	report(b, BenchKill, BenchOptions{Hosts: 100, Units: 1000, Kill: 30})
}

func BenchmarkStorm50Of100(b *testing.B) {
	report(b, BenchStorm, BenchOptions{Hosts: 100, Units: 1000, Kill: 50})
}

func BenchmarkIdle500(b *testing.B) {
	report(b, BenchIdle, BenchOptions{Hosts: 10, Units: 500, Window: 10 * time.Second})
}

func BenchmarkIdle2000(b *testing.B) {
	report(b, BenchIdle, BenchOptions{Hosts: 10, Units: 2000, Window: 10 * time.Second})
}

func BenchmarkOne(b *testing.B) { report(b, BenchOne, BenchOptions{Hosts: 3, Units: 10}) }
