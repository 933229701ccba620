package agent

import "github.com/prometheus/client_golang/prometheus"

// metrics of one agent.
type metrics struct {
	passes      prometheus.Counter
	passSeconds prometheus.Histogram
	actions     *prometheus.CounterVec
	failures    *prometheus.CounterVec
	renewals    *prometheus.CounterVec
	units       *prometheus.GaugeVec
	frozen      prometheus.Gauge
	fenceFired  prometheus.Counter
	fenceErrors prometheus.Counter
	reports     *prometheus.CounterVec
	needReboot  prometheus.Gauge
}

// newMetrics declares them at reg; nil keeps them to ourselves.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		passes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flotilla_agent_passes_total", Help: "Full passes of observe, converge, act, report.",
		}),
		passSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "flotilla_agent_pass_seconds", Help: "Duration of one pass, jobs not waited for.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10},
		}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_agent_actions_total", Help: "Actions carried out, by kind.",
		}, []string{"kind"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_agent_failures_total", Help: "Actions that went wrong and are tried again, by kind.",
		}, []string{"kind"}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_agent_renewals_total", Help: "Renewals of the host's lease, by result.",
		}, []string{"result"}),
		units: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "flotilla_agent_units", Help: "Units of ours on this host, by systemd's active state.",
		}, []string{"state"}),
		frozen: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flotilla_agent_frozen", Help: "1 while this host follows no orders.",
		}),
		fenceFired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flotilla_agent_fence_fired_total", Help: "How often the dead man's switch was found fired.",
		}),
		fenceErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flotilla_agent_fence_errors_total", Help: "Re-arms of the dead man's switch that went wrong.",
		}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flotilla_agent_reports_total", Help: "Reports to the store, by result.",
		}, []string{"result"}),
		needReboot: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flotilla_agent_reboot_needed", Help: "1 while this host needs a reboot, 0 while it does not, -1 while nobody knows.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.passes, m.passSeconds, m.actions, m.failures, m.renewals, m.units, m.frozen, m.fenceFired, m.fenceErrors, m.reports, m.needReboot)
	}
	return m
}
