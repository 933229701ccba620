package systemd

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// script makes a program that stands in for journalctl.
func script(t *testing.T, body string) Journal {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journalctl")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return Journal{Command: path}
}

func TestJournalArguments(t *testing.T) {
	fixed := []string{"--output=export", "--output-fields=" + exportFields, "--quiet", "--no-pager"}
	tests := []struct {
		journal Journal
		opts    LogOptions
		want    []string
	}{
		{Journal{}, LogOptions{}, nil},
		{Journal{}, LogOptions{Unit: "web.service", Lines: 5}, []string{"--lines=5", "--unit=web.service"}},
		{Journal{User: true}, LogOptions{Unit: "web.service", Follow: true}, []string{"--lines=all", "--follow", "--user-unit=web.service"}},
		{Journal{}, LogOptions{Unit: "a.service", Also: []string{"b.service"}}, []string{"--unit=a.service", "--unit=b.service"}},
		{Journal{}, LogOptions{Follow: true, Lines: -1}, []string{"--lines=0", "--follow"}},
		{Journal{}, LogOptions{Since: time.Unix(7, 5000), Boot: "0", After: "c"}, []string{"--since=@7.000005", "--boot=0", "--after-cursor=c"}},
	}
	for _, tt := range tests {
		if got, want := tt.journal.args(tt.opts), slices.Concat(fixed, tt.want); !slices.Equal(got, want) {
			t.Errorf("args(%+v) = %q, want %q", tt.opts, got, want)
		}
	}
}

func TestJournalChild(t *testing.T) {
	const two = `printf 'MESSAGE=a\n\nMESSAGE=b\n\n'` + "\n"
	tests := []struct {
		name, body string
		want       []string
		fails      string
	}{
		{"ends by itself", two, []string{"a", "b"}, ""},
		{"fails", two + "echo 'no such boot' >&2\necho more >&2\nexit 1\n", []string{"a", "b"}, "no such boot; more"},
		{"is cut off", `printf 'MESSAGE=a\n\nMESS'`, []string{"a"}, "unexpected EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			var failed error
			for e, err := range script(t, tt.body).Logs(t.Context(), LogOptions{}) {
				if err != nil {
					failed = err
					continue
				}
				got = append(got, string(e.Message))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("messages = %q, want %q", got, tt.want)
			}
			if (failed != nil) != (tt.fails != "") || failed != nil && !strings.Contains(failed.Error(), tt.fails) {
				t.Errorf("error = %v, want %q", failed, tt.fails)
			}
		})
	}
}

func TestJournalEndsWithCallerAndContext(t *testing.T) {
	journal := script(t, `printf 'MESSAGE=a\n\nMESSAGE=b\n\n'; exec sleep 1000`)
	for range journal.Logs(t.Context(), LogOptions{Follow: true}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	entries := 0
	for _, err := range journal.Logs(ctx, LogOptions{Follow: true}) {
		if err != nil {
			t.Errorf("Logs() after the end of its context = %v, want none", err)
		}
		if entries++; entries == 2 {
			cancel()
		}
	}
	if entries != 2 {
		t.Errorf("entries = %d, want 2", entries)
	}
	for _, err := range (Journal{Command: "/nonexistent"}).Logs(t.Context(), LogOptions{}) {
		if err == nil {
			t.Error("Logs() without journalctl = nil, want an error")
		}
	}
}

func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, out := NewChanged(), make(chan []string)
		go c.Tell(t.Context(), out)
		if got := <-out; got != nil {
			t.Errorf("first = %q, want all", got)
		}
		c.Add("b")
		synctest.Wait() // b is under way; the rest gathers
		c.Add("c")
		c.Add("a")
		c.Add("c")
		if got := <-out; !slices.Equal(got, []string{"b"}) {
			t.Errorf("then = %q, want b", got)
		}
		if got := <-out; !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("then = %q, want a and c", got)
		}
		c.Add("d")
		synctest.Wait()
		c.Add("e")
		c.AddAll()
		c.Add("f")
		<-out
		if got := <-out; got != nil {
			t.Errorf("last = %q, want all", got)
		}
		synctest.Wait()
		select {
		case got := <-out:
			t.Errorf("told %q although nothing changed", got)
		default:
		}
	})
}
