package members

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// The most that a request here may take. Who joins is a stranger yet.
const (
	maxBody      = 64 << 10
	bodyWithin   = 10 * time.Second
	answerWithin = 30 * time.Second // etcd may take as long to accept a member
)

// Handler serves JoinPath and RenewPath. It belongs on a listener with
// Identity.ServerTLS, in front of whatever demands a client certificate: who joins has none.
func (j *Joiner) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+JoinPath, func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context, req JoinRequest) (JoinResponse, error) {
			return j.Handle(ctx, req, r.RemoteAddr)
		}, j)
	})
	mux.HandleFunc("POST "+RenewPath, func(w http.ResponseWriter, r *http.Request) {
		answer(w, r, func(ctx context.Context, req RenewRequest) (RenewResponse, error) {
			return j.Renew(ctx, req, r.TLS)
		}, j)
	})
	return mux
}

// answer reads a request, asks do, and writes its response or refusal.
func answer[Q, A any](w http.ResponseWriter, r *http.Request, do func(context.Context, Q) (A, error), j *Joiner) {
	w.Header().Set("Content-Type", "application/json")
	if r.TLS == nil {
		writeRefusal(w, refuse(http.StatusForbidden, "plain-text", "this is for TLS only", "use https"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyWithin)) // where there is no connection there is nothing to wait for
	var req Q
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	if err := d.Decode(&req); err != nil {
		writeRefusal(w, refuse(http.StatusBadRequest, "bad-request", fmt.Sprintf("request is not the JSON it should be: %v", err), ""))
		return
	}
	_ = control.SetReadDeadline(time.Time{})
	res, err := do(ctx, req)
	if err != nil {
		ref := asRefusal(err)
		j.Log.Info("request refused", "path", r.URL.Path, "remote", r.RemoteAddr, "reason", ref.Message)
		writeRefusal(w, ref)
		return
	}
	if err := json.NewEncoder(w).Encode(res); err != nil {
		j.Log.Warn("answer was not sent", "path", r.URL.Path, "remote", r.RemoteAddr, "err", err)
	}
}

func writeRefusal(w http.ResponseWriter, r *Refusal) {
	if r.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	w.WriteHeader(r.Status)
	json.NewEncoder(w).Encode(r) // whoever is gone by now cannot be told
}
