package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"flotilla/cluster"
)

// put is a packer with one write and perhaps a compare.
func put(key, value string, compares ...string) *packer {
	it := item{Then: []Op{{Key: key, Value: []byte(value)}}}
	for _, c := range compares {
		it.If = append(it.If, Compare{Key: c, Target: ModRev})
	}
	p := newPacker()
	p.add(0, it)
	return p
}

// line is a pipeline whose transactions end when the test says so.
type line struct {
	*pipeline
	begun chan *packer
	end   map[*packer]chan error
}

func newLine(packs ...*packer) *line {
	l := &line{begun: make(chan *packer, len(packs)), end: map[*packer]chan error{}}
	for _, p := range packs {
		l.end[p] = make(chan error, 1)
	}
	l.pipeline = newPipeline(func(p *packer) error {
		l.begun <- p
		return <-l.end[p]
	})
	return l
}

// sendAll sends one after another, and closes what it returns when all were sent or refused.
func (l *line) sendAll(packs []*packer, errs []error) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, p := range packs {
			errs[i] = l.send(p)
		}
		l.drain()
	}()
	return done
}

func TestPipelineKeepsEightOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var packs []*packer
		for i := range 12 {
			packs = append(packs, put(fmt.Sprint(i), "v", "shared"))
		}
		l := newLine(packs...)
		done := l.sendAll(packs, make([]error, len(packs)))
		synctest.Wait()
		if got := len(l.begun); got != maxFlights {
			t.Errorf("transactions on their way = %d, want %d", got, maxFlights)
		}
		for _, p := range packs {
			l.end[p] <- nil
		}
		<-done
		if len(l.begun) != len(packs) || len(l.compared) != 0 || len(l.wrote) != 0 {
			t.Errorf("at the end %d were begun, %v and %v are left, want %d and nothing", len(l.begun), l.compared, l.wrote, len(packs))
		}
	})
}

func TestPipelineKeepsOrder(t *testing.T) {
	for name, c := range map[string]struct {
		first, second *packer
		together      bool
	}{
		"other keys":            {put("a", "1"), put("b", "1"), true},
		"same compare":          {put("a", "1", "c"), put("b", "1", "c"), true},
		"equal writes":          {put("a", "1"), put("a", "1"), true},
		"other writes":          {put("a", "1"), put("a", "2"), false},
		"compares what is late": {put("a", "1"), put("b", "1", "a"), false},
		"writes what is asked":  {put("a", "1", "b"), put("b", "1"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				packs := []*packer{c.first, c.second}
				l := newLine(packs...)
				done := l.sendAll(packs, make([]error, 2))
				synctest.Wait()
				if got := len(l.begun) == 2; got != c.together {
					t.Errorf("both on their way = %v, want %v", got, c.together)
				}
				l.end[c.first] <- nil
				synctest.Wait()
				if len(l.begun) != 2 {
					t.Errorf("the second was not begun after the first ended")
				}
				l.end[c.second] <- nil
				<-done
			})
		})
	}
}

func TestPipelineStopsAtAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var packs []*packer
		for i := range maxFlights + 2 {
			packs = append(packs, put(fmt.Sprint(i), "v"))
		}
		l := newLine(packs...)
		errs := make([]error, len(packs))
		done := l.sendAll(packs, errs)
		synctest.Wait()
		failed := errors.New("no")
		l.end[packs[3]] <- failed
		synctest.Wait()
		for _, i := range []int{0, 1, 2, 4, 5, 6, 7} {
			l.end[packs[i]] <- nil
		}
		<-done
		if len(l.begun) != maxFlights {
			t.Errorf("%d transactions were begun, want %d: none after the error", len(l.begun), maxFlights)
		}
		for i, err := range errs {
			if want := i >= maxFlights; errors.Is(err, failed) != want {
				t.Errorf("send %d = got %v, refused should be %v", i, err, want)
			}
		}
	})
}

func TestByHost(t *testing.T) {
	order := func(host cluster.HostID, u cluster.Unit, also ...cluster.Where) cluster.Orders {
		return cluster.Orders{Put: []cluster.Placed{{Host: host, Unit: u}}, Delete: also}
	}
	for name, c := range map[string]struct {
		orders []cluster.Orders
		want   []int
	}{
		"none": {nil, []int{}},
		"host by host": {
			[]cluster.Orders{order("b", "1"), order("a", "2"), order("b", "3"), order("a", "4")},
			[]int{1, 3, 0, 2},
		},
		"not across a shared placement": {
			[]cluster.Orders{
				order("b", "1"), order("a", "2"),
				order("a", "3", cluster.Where{Host: "b", Unit: "1"}), order("b", "4"), order("a", "5"),
			},
			[]int{1, 0, 2, 4, 3},
		},
		"not across a condition on one": {
			[]cluster.Orders{
				order("b", "1"),
				{Forget: []cluster.Unit{"1"}, If: []cluster.Condition{{Kind: cluster.PlacedAt, Host: "b", Unit: "1"}}},
			},
			[]int{0, 1},
		},
	} {
		if got := byHost(c.orders); !slices.Equal(got, c.want) {
			t.Errorf("%s: byHost = got %v, want %v", name, got, c.want)
		}
	}
}
