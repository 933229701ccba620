package api

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
)

// journals answers for every host, and counts how many are asked at a time and for how many lines.
type journals struct {
	mu               sync.Mutex
	now, most, lines int
}

func (j *journals) add(asked, lines int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.now, j.lines = j.now+asked, j.lines+lines
	j.most = max(j.most, j.now)
}

// RoundTrip answers without a line.
func (j *journals) RoundTrip(r *http.Request) (*http.Response, error) {
	n, _ := strconv.Atoi(r.URL.Query().Get("lines"))
	j.add(1, n)
	defer j.add(-1, 0)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// TestLogsOfManyHosts: few hosts are asked at a time, for no more lines together than a request may have, and lines
// of too many hosts are not followed.
func TestLogsOfManyHosts(t *testing.T) {
	const hosts = 3000
	s, _ := serverOf(hosts, &still{whole: -1})
	all := &journals{}
	s.opt.Peers = nobody{all}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/logs?lines=100000", nil))
	if w.Code != http.StatusOK || all.most > mostAsked || all.lines > mostLines || all.lines < hosts {
		t.Errorf("logs = %d: %d hosts asked at a time for %d lines, want at most %d and %d", w.Code, all.most, all.lines, mostAsked, mostLines)
	}
	w = httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/logs?follow=true", nil))
	if !bytes.Contains(w.Body.Bytes(), []byte("lines of 3000 hosts cannot be followed: at most 256")) || w.Code != http.StatusBadRequest {
		t.Errorf("follow = %d %s, want a refusal", w.Code, w.Body)
	}
}
