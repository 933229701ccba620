package members

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"flotilla/cluster"
)

// deadlineTokens notes until when it is asked.
type deadlineTokens struct {
	racingTokens
	until time.Time
}

func (d *deadlineTokens) TokenHash(ctx context.Context, _ string) (string, error) {
	d.until, _ = ctx.Deadline()
	return "", nil
}

// TestStrangersWaitNotForEver: who joins is a stranger, and may hold nothing up.
func TestStrangersWaitNotForEver(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := NewCSR(key, hostB)
	if err != nil {
		t.Fatal(err)
	}
	tokens := &deadlineTokens{}
	j := &Joiner{Tokens: tokens, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	leave, err := j.enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tok := mustToken(t, Fingerprint{1}, time.Now().Add(time.Hour)).Text()
	body := `{"token":"` + tok + `","host":"` + hostB + `","name":"b","addresses":["10.0.0.2"],"csr":"` + strings.ReplaceAll(string(csr), "\n", `\n`) + `"}`
	r := httptest.NewRequest("POST", JoinPath, strings.NewReader(body))
	r.TLS = &tls.ConnectionState{}
	w := httptest.NewRecorder()
	begun := time.Now()
	j.Handler().ServeHTTP(w, r) // refused for its token while another has the turn
	if !strings.Contains(w.Body.String(), "is not known") {
		t.Errorf("answer = %s, want that the token is not known", w.Body)
	}
	if left := tokens.until.Sub(begun); left <= 0 || left > answerWithin+time.Minute {
		t.Errorf("a join may take %s, want at most about %s", left, answerWithin)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var ref *Refusal
	if _, err := j.enter(gone); !errors.As(err, &ref) || ref.RetryAfter == 0 {
		t.Errorf("enter while another has the turn = %v, want to hear later", err)
	}
	leave()
	if leave, err = j.enter(t.Context()); err != nil {
		t.Errorf("enter after it was given back = %v", err)
	} else {
		leave()
	}
}

// TestRenewRefusesRemoved: an operator gave the host up.
func TestRenewRefusesRemoved(t *testing.T) {
	j := &Joiner{Removed: func(_ context.Context, id cluster.HostID) (bool, error) { return id == hostB, nil }}
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: hostB, Organization: []string{OrgHost}}}
	state := &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{cert}}}
	var ref *Refusal
	if _, err := j.Renew(t.Context(), RenewRequest{}, state); !errors.As(err, &ref) || ref.Code != "removed" {
		t.Errorf("Renew of a removed host = %v, want a refusal", err)
	}
}
