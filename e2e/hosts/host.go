package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrDown is returned by methods that need a running host.
var ErrDown = errors.New("the host is down")

// Host is one systemd host of a lab.
type Host struct {
	lab     *Lab
	options HostOptions
}

// Name is the host's name, which the other hosts resolve too.
func (h *Host) Name() string { return h.options.Name }

// IP is the host's address on the lab's bridge.
func (h *Host) IP() string { return address(h.options.Number) }

// MachineID is the id that systemd on the host goes by; it never changes.
func (h *Host) MachineID() string { return h.options.MachineID }

// ConsoleLog is the file that holds what the host printed while booting.
func (h *Host) ConsoleLog() string { return filepath.Join(h.disk(), "console.log") }

// Socket is the path, on the machine, of a file that the host has below
// /run/flotilla. The folder is emptied at each boot, as /run is.
func (h *Host) Socket(name string) string {
	return filepath.Join(h.private(), strings.TrimPrefix(name, "/run/flotilla/"))
}

// BootID is the id of the boot the host is in; each boot has its own.
func (h *Host) BootID() (string, error) {
	pid, err := h.leader()
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/proc/sys/kernel/random/boot_id", pid))
	if err != nil {
		return "", fmt.Errorf("boot id of host %s: %w", h.Name(), err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(data)), "-", ""), nil
}

// Path is a file of the host as this machine sees it, for as long as the host is up: a
// look at it costs no process. A symbolic link in it leads to a file of this machine.
func (h *Host) Path(path string) (string, error) {
	pid, err := h.leader()
	if err != nil {
		return "", err
	}
	return filepath.Join(fmt.Sprintf("/proc/%d/root", pid), path), nil
}

// KillService kills all processes of a service at once, past systemd and as fast as can
// be, and returns when they have ended. It is an error when it has none.
func (h *Host) KillService(ctx context.Context, unit string) error {
	group := filepath.Join(h.payload(), "system.slice", unit)
	pids, err := processes(group)
	if err == nil && len(pids) == 0 {
		err = errors.New("it has no process")
	}
	if err == nil {
		err = killGroup(ctx, group)
	}
	if err != nil {
		return fmt.Errorf("kill %s on host %s: %w", unit, h.Name(), err)
	}
	return nil
}

// Kill cuts the host's power: every process on it ends at once.
func (h *Host) Kill(ctx context.Context) error {
	if err := killGroup(ctx, h.group()); err != nil {
		return fmt.Errorf("kill host %s: %w", h.Name(), err)
	}
	return h.waitSupervisor(ctx)
}

// waitSupervisor waits until host.sh has noticed that its host ended, so that
// a start that follows at once does not meet it.
func (h *Host) waitSupervisor(ctx context.Context) error {
	return Wait(ctx, shutdownDeadline, "end of host "+h.Name(), func(context.Context) error {
		pids, err := processes(filepath.Join(h.lab.cgroup, "holder"))
		if err != nil {
			return err
		}
		for _, pid := range pids {
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err != nil {
				continue
			}
			args := strings.Split(string(line), "\x00")
			if len(args) > 2 && filepath.Base(args[1]) == "host.sh" && args[2] == h.Name() {
				return fmt.Errorf("process %d still looks after it", pid)
			}
		}
		return nil
	})
}

// Reboot restarts the host in good order, and returns when it is up again.
func (h *Host) Reboot(ctx context.Context) error {
	old, err := h.BootID()
	if err != nil {
		return fmt.Errorf("reboot: %w", err)
	}
	// The command may be killed by the very shutdown it asks for.
	_, asked := h.Exec(ctx, nil, "systemctl", "reboot")
	if err := h.AwaitBoot(ctx, old); err != nil {
		return errors.Join(fmt.Errorf("reboot: %w", err), asked)
	}
	return nil
}

// StayDown has a reboot of the host end like a power-off, as if its disk had died, until it is taken back.
// Start boots it all the same.
func (h *Host) StayDown(on bool) error {
	file := filepath.Join(h.disk(), "stay-down")
	if on {
		return os.WriteFile(file, nil, 0o644)
	}
	if err := os.Remove(file); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// AwaitBoot waits until the host is up in another boot than the given one.
func (h *Host) AwaitBoot(ctx context.Context, old string) error {
	return Wait(ctx, bootDeadline, h.waitingForBoot(), func(ctx context.Context) error { return h.isUp(ctx, old) })
}

// AwaitDown waits until the host has ended.
func (h *Host) AwaitDown(ctx context.Context) error { return h.waitSupervisor(ctx) }

// PowerOff shuts the host down in good order. Start boots it again.
func (h *Host) PowerOff(ctx context.Context) error {
	_, asked := h.Exec(ctx, nil, "systemctl", "poweroff")
	if err := h.waitSupervisor(ctx); err != nil {
		return errors.Join(fmt.Errorf("power off: %w", err), asked)
	}
	return nil
}

// Freeze stops every process of the host where it stands, as a paused virtual
// machine does. Commands sent to it hang until Thaw.
func (h *Host) Freeze(ctx context.Context) error { return h.setFrozen(ctx, "1") }

// Thaw lets a frozen host go on.
func (h *Host) Thaw(ctx context.Context) error { return h.setFrozen(ctx, "0") }

func (h *Host) setFrozen(ctx context.Context, value string) error {
	if err := os.WriteFile(filepath.Join(h.group(), "cgroup.freeze"), []byte(value), 0); err != nil {
		return fmt.Errorf("freeze or thaw host %s: %w", h.Name(), err)
	}
	return Wait(ctx, 30*time.Second, "freezing or thawing of host "+h.Name(), func(context.Context) error {
		return groupEvent(h.group(), "frozen "+value)
	})
}

// FreezeProcess stops the main process of a unit where it stands.
func (h *Host) FreezeProcess(ctx context.Context, unit string) error {
	return h.signalMain(ctx, unit, "STOP")
}

// ThawProcess lets the main process of a unit go on.
func (h *Host) ThawProcess(ctx context.Context, unit string) error {
	return h.signalMain(ctx, unit, "CONT")
}

// KillProcess kills the main process of a unit.
func (h *Host) KillProcess(ctx context.Context, unit string) error {
	return h.signalMain(ctx, unit, "KILL")
}

// signalMain sends a signal to a unit's main process, past systemd, and
// returns when it has taken effect.
func (h *Host) signalMain(ctx context.Context, unit, signal string) error {
	out, err := h.Exec(ctx, nil, "systemctl", "show", "--property=MainPID", "--value", unit)
	if err != nil {
		return err
	}
	pid := strings.TrimSpace(out)
	if pid == "" || pid == "0" {
		return fmt.Errorf("signal %s to %s on host %s: it has no main process", signal, unit, h.Name())
	}
	if _, err := h.Exec(ctx, nil, "sh", "-c", `kill -s "$1" "$2"`, "signal", signal, pid); err != nil {
		return err
	}
	return Wait(ctx, 30*time.Second, fmt.Sprintf("signal %s to %s on host %s", signal, unit, h.Name()), func(ctx context.Context) error {
		out, _ := h.Exec(ctx, nil, "ps", "-o", "state=", "-p", pid)
		state := strings.TrimSpace(out)
		stopped, ended := state == "T", state == "" || state == "Z"
		if signal == "STOP" && stopped || signal == "CONT" && !stopped || signal == "KILL" && ended {
			return nil
		}
		return fmt.Errorf("its process %s is in state %q", pid, state)
	})
}

// leader finds the host's process 1 among those of its control group.
func (h *Host) leader() (int, error) {
	pids, err := processes(filepath.Join(h.payload(), "init.scope"))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", h.Name(), ErrDown)
	}
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			continue
		}
		_, after, _ := strings.Cut(string(status), "\nNSpid:")
		line, _, _ := strings.Cut(after, "\n")
		if ids := strings.Fields(line); len(ids) > 1 && ids[len(ids)-1] == "1" {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("%s: %w", h.Name(), ErrDown)
}

func (h *Host) group() string   { return filepath.Join(h.lab.cgroup, h.Name()) }
func (h *Host) payload() string { return filepath.Join(h.group(), "payload") }
func (h *Host) disk() string    { return filepath.Join(h.lab.options.Dir, "hosts", h.Name()) }
func (h *Host) private() string { return filepath.Join(h.lab.privateDir(), h.Name()) }

func address(number int) string { return fmt.Sprintf("%s%d", prefix, firstNumber+number) }
