package api

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics of one daemon's API.
type metrics struct {
	lockRequests *prometheus.CounterVec
	lockAnswers  *prometheus.CounterVec
}

// newMetrics registers them with reg; nil registers nowhere.
func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	return metrics{
		lockRequests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_fleetlock_requests_total", Help: "Requests of FleetLock clients, by operation.",
		}, []string{"operation"}),
		lockAnswers: f.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_fleetlock_answers_total", Help: "Answers to FleetLock clients, by operation and kind of the refusal; ok is a success.",
		}, []string{"operation", "kind"}),
	}
}

// locked counts a request of a FleetLock client with its answer. The daemon that the client asked counts it,
// not the leader that a daemon passed it on to.
func (m metrics) locked(operation string, refusal *LockRefusal, passedOn bool) {
	if passedOn {
		return
	}
	if operation == "" {
		operation = "none"
	}
	kind := "ok"
	if refusal != nil {
		kind = refusal.Kind
	}
	m.lockRequests.WithLabelValues(operation).Inc()
	m.lockAnswers.WithLabelValues(operation, kind).Inc()
}
