// Command app is the workload of the end-to-end tests: an HTTP server that
// says who it is, and a witness of when it ran. It has no dependencies, so
// that its static binary is a whole container image.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const clockBoottime = 7

type options struct {
	name       string
	version    string
	port       string
	ignoreTerm bool
	linger     time.Duration
	beat       string
	every      time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", os.Getenv("INSTANCE"), "name of this instance (or $INSTANCE)")
	flag.StringVar(&o.version, "version", os.Getenv("VERSION"), "version to answer with (or $VERSION)")
	flag.StringVar(&o.port, "port", os.Getenv("PORT"), "port to listen on (or $PORT); none: no server")
	flag.BoolVar(&o.ignoreTerm, "ignore-term", os.Getenv("IGNORE_TERM") != "", "do not end on SIGTERM (or $IGNORE_TERM)")
	flag.DurationVar(&o.linger, "linger", 0, "on SIGTERM, go on serving for so long: whoever routes to this instance hears of its end a little later than it does")
	flag.StringVar(&o.beat, "beat", os.Getenv("BEAT"), "append a line to this file at each beat (or $BEAT)")
	flag.DurationVar(&o.every, "every", 10*time.Millisecond, "time between two beats")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "app: error:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	signals := []os.Signal{syscall.SIGINT}
	if o.ignoreTerm {
		signal.Ignore(syscall.SIGTERM)
	} else {
		signals = append(signals, syscall.SIGTERM)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	done := make(chan error, 2)
	tasks := 0
	if o.beat != "" {
		tasks++
		go func() { done <- beat(ctx, o) }()
	}
	if o.port != "" {
		listener, err := net.Listen("tcp", ":"+o.port)
		if err != nil {
			return err
		}
		tasks++
		go func() { done <- serve(ctx, o, listener) }()
	}
	if err := ready(os.Getenv("NOTIFY_SOCKET")); err != nil {
		return err
	}
	fmt.Printf("app %s version %s is up\n", o.name, o.version)
	if tasks == 0 {
		<-ctx.Done()
		return nil
	}
	err := <-done
	stop()
	for range tasks - 1 {
		err = errors.Join(err, <-done)
	}
	return err
}

// ready tells a service manager that waits for it (sd_notify(3)) that this instance is up: not before it
// listens, else requests would come too early.
func ready(socket string) error {
	if socket == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return fmt.Errorf("tell that it is ready: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("READY=1")); err != nil {
		return fmt.Errorf("tell that it is ready: %w", err)
	}
	return nil
}

// serve answers until the context ends. Then it lingers: it goes on for a while, and ends each kept connection
// with its next answer. At last it takes no more connections and finishes what it began.
func serve(ctx context.Context, o options, listener net.Listener) error {
	answer, err := answers(o)
	if err != nil {
		return err
	}
	// Not with SetKeepAlivesEnabled, which would cut idle connections while others still take them.
	parting := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		answer.ServeHTTP(w, r)
	})
	server := &http.Server{Handler: parting, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		<-time.NewTimer(o.linger).C
		limited, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(limited)
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// answers say who this instance is, and that it is well.
func answers(o options) (http.Handler, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "host=%s name=%s boot=%s version=%s\n", host, o.name, strings.TrimSpace(string(boot)), o.version)
	})
	return mux, nil
}

// beat appends one line per beat: milliseconds since the machine booted,
// suspensions included, milliseconds of the calendar, name, process id. All
// hosts of a lab share the first clock, so lines of two files compare.
func beat(ctx context.Context, o options) error {
	file, err := os.OpenFile(o.beat, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer file.Close()
	ticker := time.NewTicker(o.every)
	defer ticker.Stop()
	for {
		since, err := boottime()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(file, "%d %d %s %d\n", since.Milliseconds(), time.Now().UnixMilli(), o.name, os.Getpid()); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func boottime() (time.Duration, error) {
	var t syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, fmt.Errorf("read CLOCK_BOOTTIME: %w", errno)
	}
	return time.Duration(t.Nano()), nil
}
