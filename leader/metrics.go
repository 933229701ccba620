package leader

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics of one candidate.
type metrics struct {
	terms, stale              prometheus.Counter
	decisions                 *prometheus.CounterVec
	planSeconds, applySeconds prometheus.Histogram
	leading, absent, waiting  prometheus.Gauge
	reboots, messages         *prometheus.CounterVec
	posts                     prometheus.Counter
	slots, oldestWait         prometheus.Gauge
}

// newMetrics registers them with reg; nil registers nowhere.
func newMetrics(reg prometheus.Registerer) metrics {
	f := promauto.With(reg)
	seconds := prometheus.ExponentialBuckets(0.0005, 4, 8) // 0.5 ms to 8 s
	return metrics{
		terms: f.NewCounter(prometheus.CounterOpts{
			Name: "flotilla_leader_terms_total", Help: "Terms this process has led.",
		}),
		stale: f.NewCounter(prometheus.CounterOpts{
			Name: "flotilla_leader_stale_orders_total", Help: "Orders refused because they rested on an old view; they are planned again.",
		}),
		decisions: f.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_leader_decisions_total", Help: "Decisions written, by kind.",
		}, []string{"kind"}),
		planSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "flotilla_leader_plan_seconds", Help: "Time to plan once.", Buckets: seconds,
		}),
		applySeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "flotilla_leader_apply_seconds", Help: "Time to write the orders of one plan.", Buckets: seconds,
		}),
		leading: f.NewGauge(prometheus.GaugeOpts{
			Name: "flotilla_leader_leading", Help: "1 while this process leads.",
		}),
		absent: f.NewGauge(prometheus.GaugeOpts{
			Name: "flotilla_leader_hosts_absent", Help: "Known hosts that are absent, in the newest plan.",
		}),
		waiting: f.NewGauge(prometheus.GaugeOpts{
			Name: "flotilla_leader_units_waiting", Help: "Units that are not as wanted, in the newest plan.",
		}),
		messages: f.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_leader_messages_total", Help: "Messages about reboots to the webhook: told, or lost after all tries.",
		}, []string{"result"}),
		posts: f.NewCounter(prometheus.CounterOpts{
			Name: "flotilla_leader_message_failures_total", Help: "Tries to tell the webhook that failed.",
		}),
		reboots: f.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_leader_reboots_total", Help: "Reboots that came to an end, by outcome; unasked ones had no grant.",
		}, []string{"outcome"}),
		slots: f.NewGauge(prometheus.GaugeOpts{
			Name: "flotilla_leader_reboot_slots_held", Help: "Hosts that hold a reboot slot, in the newest plan.",
		}),
		oldestWait: f.NewGauge(prometheus.GaugeOpts{
			Name: "flotilla_leader_reboot_oldest_wait_seconds", Help: "How long the host waits for its reboot that waits longest, as far as this leader saw.",
		}),
	}
}
