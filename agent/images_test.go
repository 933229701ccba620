package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"flotilla/agent/systemd"
	"flotilla/agent/systemd/fake"
	"flotilla/cluster"
	"flotilla/cluster/store/memory"
	"flotilla/units"
)

const testImage = "docker.io/x:1"

// imaged is the content of a unit that needs images.
func imaged(refs ...string) string {
	text := "[Service]\nExecStart=/bin/web\n[X-Flotilla]\nRuntime=podman\n"
	for _, r := range refs {
		text += "Image=" + r + "\n"
	}
	return text
}

func (w *world) orderImaged(name string, state cluster.Order, refs ...string) cluster.Placement {
	return w.order(name, cluster.Placement{State: state, Blob: w.blob(imaged(refs...)), Run: 1})
}

// pulls is how often an image's pull was begun.
func (w *world) pulls(ref string) int { return w.count("start", systemd.PullUnit("podman", ref)) }

// says waits until the store has a message that begins so.
func (w *world) says(name, begin string) {
	w.t.Helper()
	w.until(name+" to say "+begin, func() bool {
		return strings.HasPrefix(w.statuses()[cluster.Unit(name)].Message, begin)
	})
}

func pullTime(d time.Duration) fake.Options {
	return fake.Options{PullTime: fake.Range{From: d, To: d}}
}

// TestLoadedMeansTheImageIsThere: it is pulled once for all units that need it, they say so
// meanwhile, and units beside them do not wait.
func TestLoadedMeansTheImageIsThere(t *testing.T) {
	inWorld(t, kind(), pullTime(2*time.Minute), func(w *world) {
		orders := map[string]cluster.Placement{
			"a.service": w.orderImaged("a.service", cluster.Loaded, testImage),
			"b.service": w.orderImaged("b.service", cluster.Launched, testImage),
		}
		began := time.Now()
		w.start()
		plain := w.launch("plain.service", "/bin/web")
		w.settled(map[string]cluster.Placement{"plain.service": plain})
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("a unit beside a pull runs after %s", took)
		}
		for _, n := range []string{"a.service", "b.service"} {
			w.says(n, "pulling "+testImage+" for 12s")
			if st := w.statuses()[cluster.Unit(n)]; st.Generation != 0 || st.Refused || st.State.Load != "loaded" {
				t.Errorf("status during the pull = %+v, want the file there and nothing carried out", st)
			}
		}
		w.says("a.service", "pulling "+testImage+" for 1m30s")
		w.settled(orders)
		if st := w.statuses()["a.service"]; st.Message != "" {
			t.Errorf("message of a loaded unit = %q, want none", st.Message)
		}
		if n := w.pulls(testImage); n != 1 {
			t.Errorf("the image was pulled %d times, want once", n)
		}
		if has, err := w.host.HasImage(t.Context(), "podman", testImage); !has || err != nil {
			t.Errorf("HasImage = %t, %v, want it there", has, err)
		}
	})
}

// TestNoPullOfWhatIsThere: an image that is there is never pulled, whatever happens.
func TestNoPullOfWhatIsThere(t *testing.T) {
	inWorld(t, kind(), pullTime(time.Minute), func(w *world) {
		w.host.AddImage("podman", testImage)
		w.host.RegistryAway(true)
		w.start()
		p := w.orderImaged("a.service", cluster.Launched, testImage)
		w.settled(map[string]cluster.Placement{"a.service": p})
		p.Restart = 1
		p = w.order("a.service", p)
		w.settled(map[string]cluster.Placement{"a.service": p})
		w.stop()
		w.mem.Partition("one", memory.CutAll) // no store from here on
		w.host.Reboot()
		w.start()
		w.until("the unit to run after a boot without a store", func() bool { return len(w.invocations()) == 1 })
		if n := w.pulls(testImage); n != 0 {
			t.Errorf("the image was pulled %d times, want never", n)
		}
	})
}

// TestPullThatFails says why, tries again, and goes on when the registry is back. The agent's end
// in between changes nothing.
func TestPullThatFails(t *testing.T) {
	inWorld(t, kind(), pullTime(2*time.Second), func(w *world) {
		w.host.RegistryAway(true)
		w.start()
		p := w.orderImaged("a.service", cluster.Launched, testImage)
		const why = "pulling docker.io/x:1: Error: the registry cannot be reached"
		w.says("a.service", why)
		w.pass(10 * time.Minute)
		if n := w.pulls(testImage); n < 10 || n > 20 {
			t.Errorf("%d pulls in ten minutes, want one each minute after the first", n)
		}
		w.says("a.service", why)
		w.stop()
		w.start()
		w.says("a.service", why)
		w.host.RegistryAway(false)
		w.settled(map[string]cluster.Placement{"a.service": p})
		if st := w.statuses()["a.service"]; st.Message != "" {
			t.Errorf("message = %q, want none", st.Message)
		}
	})
}

// TestPullOutlivesTheAgent: the next agent waits for the pull that the last one began.
func TestPullOutlivesTheAgent(t *testing.T) {
	inWorld(t, kind(), pullTime(time.Minute), func(w *world) {
		p := w.orderImaged("a.service", cluster.Loaded, testImage)
		w.start()
		w.says("a.service", "pulling "+testImage+" for 20s")
		for range 3 {
			w.stop()
			w.start()
			w.says("a.service", "pulling "+testImage)
		}
		w.settled(map[string]cluster.Placement{"a.service": p})
		if n := w.pulls(testImage); n != 1 {
			t.Errorf("the image was pulled %d times, want once", n)
		}
	})
}

// TestNewImageOfARunningUnit: it runs on with its old file until the new one's image is there.
func TestNewImageOfARunningUnit(t *testing.T) {
	inWorld(t, kind(), pullTime(time.Minute), func(w *world) {
		w.host.AddImage("podman", testImage)
		w.start()
		p := w.orderImaged("a.service", cluster.Launched, testImage)
		w.settled(map[string]cluster.Placement{"a.service": p})
		before, old := w.invocations(), p.Blob
		p.Blob, p.Restart = w.blob(imaged("docker.io/x:2")), 1
		p = w.order("a.service", p)
		w.says("a.service", "pulling docker.io/x:2 for 40s")
		w.same(before)
		if st := w.statuses()["a.service"]; st.Blob != old {
			t.Errorf("the file holds %s during the pull, want the old %s", st.Blob.Short(), old.Short())
		}
		w.settled(map[string]cluster.Placement{"a.service": p})
		if n := w.count("start", "a.service"); n != 2 {
			t.Errorf("a.service was started %d times, want 2", n)
		}
	})
}

// TestDeathDuringPulls: the agent dies between any two steps; every image is pulled once and
// every unit started once.
func TestDeathDuringPulls(t *testing.T) {
	for k, all := 0, false; !all && !t.Failed(); k++ {
		inWorld(t, kind(), pullTime(3*time.Second), func(w *world) {
			orders := map[string]cluster.Placement{}
			for i := range 6 {
				name := fmt.Sprintf("u%d.service", i)
				orders[name] = w.orderImaged(name, []cluster.Order{cluster.Launched, cluster.Loaded}[i%2], fmt.Sprintf("x:%d", i/3), "y:1")
			}
			all = !w.runUntilDeath(k)
			w.start()
			w.settled(orders)
			for _, ref := range []string{"x:0", "x:1", "y:1"} {
				if n := w.pulls(ref); n != 1 {
					t.Errorf("death at step %d: %s was pulled %d times, want once", k, ref, n)
				}
			}
			for n, p := range orders {
				want := 0
				if p.State == cluster.Launched {
					want = 1
				}
				if got := w.count("start", n); got != want {
					t.Errorf("death at step %d: %s was started %d times, want %d", k, n, got, want)
				}
			}
		})
	}
}

// TestImagesOf: what a drop-in says counts, and what cannot be read asks for none.
func TestImagesOf(t *testing.T) {
	const file = "[Service]\nExecStart=/bin/web\n[X-Flotilla]\nImage=x:1\n"
	bundle, err := units.DropIns{{Name: "run.conf", Raw: []byte("[Service]\nExecStart=\nExecStart=/usr/bin/docker run x:1\n")}}.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file string
		bundle     []byte
		want       []Image
	}{
		{"named runtime", imaged("a:1", "b:1"), nil, []Image{{"podman", "a:1"}, {"podman", "b:1"}}},
		{"runtime of a drop-in", file, bundle, []Image{{"docker", "x:1"}}},
		{"no runtime", file, nil, nil},
		{"no images", "[Service]\nExecStart=/bin/web\n", nil, nil},
		{"damaged drop-ins", imaged("a:1"), []byte("{"), nil},
	} {
		if got := imagesOf("web.service", []byte(tt.file), tt.bundle); !slices.Equal(got, tt.want) {
			t.Errorf("%s: imagesOf = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestWhatAFetchSays: in steps, so that a pull of an hour is not an hour of writes.
func TestWhatAFetchSays(t *testing.T) {
	image := Image{"podman", "x:1"}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for _, tt := range []struct {
			after time.Duration
			why   string
			want  string
			next  time.Duration
		}{
			{0, "", "pulling x:1", 4 * time.Second},
			{5 * time.Second, "", "pulling x:1 for 4s", 3 * time.Second},
			{59 * time.Second, "", "pulling x:1 for 56s", time.Second},
			{95 * time.Second, "", "pulling x:1 for 1m30s", 25 * time.Second},
			{16 * time.Minute, "", "pulling x:1 for 15m", 4 * time.Minute},
			{0, "pulling x:1: no", "pulling x:1: no", 4 * time.Second},
			{time.Minute, "pulling x:1: no", "pulling x:1 for 1m, again after: no", 30 * time.Second},
		} {
			f := &fetches{of: map[Image]*fetch{image: {flying: true, pulling: began, why: tt.why}}}
			now := began.Add(tt.after)
			if got := f.why([]Image{{"podman", "other"}, image}, now); got != tt.want {
				t.Errorf("why after %s = %q, want %q", tt.after, got, tt.want)
			}
			if got := f.next(now, now, time.Hour); got != tt.next {
				t.Errorf("next after %s = %s, want %s", tt.after, got, tt.next)
			}
		}
	})
}
