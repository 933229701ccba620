package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"flotilla/api/apitest"
	"flotilla/members"
)

// badWords is a wrong command line with the one line that answers it. CRT, KEY and CA in args are
// files of a good admin certificate; EMPTY is a word without letters.
type badWords struct {
	args string
	code int
	want string // stands in the line; $ at its end = nothing follows
}

func badCommandLines() []badWords {
	return []badWords{
		{"frob", 2, `no command "frob": see flotilla help all$`},
		{"statsu", 2, `no command "statsu": did you mean status?$`},
		{"start --no-wiat x.service", 2, `unknown flag --no-wiat: did you mean --no-wait?$`},
		{"status --watch", 2, `unknown flag --watch: see flotilla help status$`},
		{"start", 2, `start needs a unit: flotilla start web.service$`},
		{"start a --timeout soon", 2, `invalid value "soon" for flag -timeout: parse error: see flotilla help start$`},
		{"start a --timeout 0s", 2, `--timeout 0s: want a positive duration such as 30s; --no-wait does not wait$`},
		{"explain", 2, `explain needs one unit or host: flotilla explain web.service$`},
		{"explain a", 1, `no unit and no host "a" (flotilla status shows what there is)$`},
		{"logs a", 1, `no unit and no host "a.service" (flotilla status shows what there is)$`},
		{"logs nosuch*", 1, `no unit on a host matches "nosuch*" (flotilla list-unit-files shows the units; a glob never looks at files)$`},
		{"cat EMPTY", 2, `word 2 of the command line is empty: is a variable of the shell not set?$`},
		{"start EMPTY", 2, `word 2 of the command line is empty: is a variable of the shell not set?$`},
		{"logs EMPTY", 2, `word 2 of the command line is empty: is a variable of the shell not set?$`},
		{"host label EMPTY a=b", 2, `word 3 of the command line is empty: is a variable of the shell not set?$`},
		{"logs --host EMPTY", 2, `word 3 of the command line is empty: is a variable of the shell not set?$`},
		{"logs --host=", 2, `--host has an empty value: is a variable of the shell not set?$`},
		{"list-units nosuch", 1, `no unit "nosuch.service" in the cluster (flotilla list-unit-files shows what there is)$`},
		{"list-unit-files there nosuch", 1, `no unit "nosuch.service" in the cluster (flotilla list-unit-files shows what there is)$`},
		{"logs a -n -3", 2, `--lines -3: want 0 or more$`},
		{"logs a -n many", 2, `invalid value "many" for flag -n: parse error: see flotilla help logs$`},
		{"journal", 2, `journal needs a unit: flotilla journal web.service; flotilla logs shows the daemons$`},
		{"cat", 2, `cat needs a unit: flotilla cat web.service$`},
		{"list-units -o table", 2, `-o table: want wide, json or yaml$`},
		{"list-units --fields unit,,sub", 2, `no field "": want some of unit,machine,host,load,active,sub,hash,order,since,message$`},
		{"list-unit-files --fields state,age", 2, `no field "age": want some of unit,hash,dstate,state,target,global,desc,outdated,reason$`},
		{"list-machines h1", 2, `list-machines takes no arguments, got "h1": flotilla status HOST shows one$`},
		{"events -o wide", 2, `-o wide: want json$`},
		{"completion csh", 2, `completion needs bash, zsh or fish: source <(flotilla completion bash)$`},
		{"logs -n 1 --host h1 h2", 1, `h2 and h1 are two hosts (ask for one of them)$`},
		{"list-units -o json --fields unit", 2, `-o json and --fields exclude one another: json and yaml have all fields, wide is a choice of them$`},
		{"list-machines -o wide --fields ip", 2, `-o wide and --fields exclude one another: json and yaml have all fields, wide is a choice of them$`},
		{"token --text -o json", 2, `--text and --output are two forms of the same: give one of them$`},
		{"host label h1 a=b a-", 2, `label "a-": a stands before it already$`},
		{"host label h1 a=b a=c", 2, `label "a=c": a stands before it already$`},
		{"agent --storm NaN", 2, `--storm NaN: want a part of the hosts, above 0 and up to 1$`},
		{"agent --storm 7", 2, `--storm 7: want a part of the hosts, above 0 and up to 1$`},
		{"agent --reserve much", 2, `--reserve: "much" is neither memory such as 512M or 2G nor a percentage such as 5%$`},
		{"agent --only units", 2, `--only units: write --only reboots, or leave it out for a host that takes units too$`},
		{"agent --fleetlock 3333", 2, `--fleetlock 3333: "3333" is no address with a port (write it like 127.0.0.1:3333)$`},
		{"agent --fleetlock :3333", 2, `--fleetlock :3333: others could reach it, and hold up reboots (listen on 127.0.0.1, or give both TLS and a token)$`},
		{"init --fleetlock 10.0.0.1:3333", 2, `--fleetlock 10.0.0.1:3333: others could reach it, and hold up reboots (listen on 127.0.0.1, or give both TLS and a token)$`},
		{"agent --fleetlock 10.0.0.1:3333 --fleetlock-tls", 2, `others could reach it, and hold up reboots (listen on 127.0.0.1, or give both TLS and a token)$`},
		{"agent --fleetlock-tls", 2, `--fleetlock-tls and --fleetlock-token need --fleetlock ADDRESS$`},
		{"init --reserve 101%", 2, `--reserve: "101%" is neither memory such as 512M or 2G nor a percentage such as 5%$`},
		{"dev --reserve -1G", 2, `--reserve: "-1G" is neither memory such as 512M or 2G nor a percentage such as 5%$`},
		{"leave now", 2, `leave takes no arguments, got "now": it is typed on the host that leaves$`},
		{"init extra", 2, `init takes no arguments, got "extra": flotilla join ADDRESS joins a cluster$`},
		{"join", 2, `join needs the address of a host of the cluster: flotilla join 10.0.0.1 --token …$`},
	}
}

// badStray are words that a command has no use for.
func badStray() []badWords {
	return []badWords{
		{"accept-store x", 2, `accept-store takes no arguments, got "x": see flotilla help accept-store$`},
		{"failover resume now", 2, `failover resume takes no arguments, got "now": see flotilla help failover resume$`},
		{"token x", 2, `token takes no arguments, got "x": see flotilla help token$`},
		{"version x", 2, `version takes no arguments, got "x": see flotilla help version$`},
		{"events extra", 2, `events takes no arguments, got "extra": see flotilla help events$`},
		{"completion bash x", 2, `completion takes bash|zsh|fish and nothing after it, got "x": see flotilla help completion$`},
		{"agent extra", 2, `agent takes no arguments, got "extra": see flotilla help agent$`},
		{"etcd extra", 2, `etcd takes no arguments, got "extra": see flotilla help etcd$`},
		{"dev extra", 2, `dev takes no arguments, got "extra": see flotilla help dev$`},
		{"host remove h1 h2", 2, `host remove takes HOST and nothing after it, got "h2": see flotilla help host remove$`},
		{"help all x", 2, `help all takes nothing after it, got "x"$`},
		{"help host frob", 2, `host has no command "frob": see flotilla help host$`},
		{"frob --help", 2, `no command "frob": see flotilla help all$`},
		{"host frob --help", 2, `host has no command "frob": see flotilla help host$`},
		{"host label --bogus", 2, `unknown flag --bogus: see flotilla help host label$`},
		{"orphan stop --bogus", 2, `unknown flag --bogus: see flotilla help orphan stop$`},
	}
}

func badHosts() []badWords {
	return []badWords{
		{"host frob", 2, `host has no command "frob": see flotilla help host$`},
		{"host label h1", 2, `host label needs a host and labels: flotilla host label h1 disk=ssd old-$`},
		{"host label h1 disk", 2, `label "disk": write key=value, or key- to remove it$`},
		{"host label h9 disk=ssd", 1, `no host "h9" in the cluster (flotilla list-machines shows them)$`},
		{"host label h1 di$k=ssd", 1, `label di$k: is no name of a label (a key is made of letters, digits and _ . - /, at most 128, and does not end in -)$`},
		{"host remove", 2, `host remove needs one host$`},
		{"host remove h1", 1, `h1 is alive: only an absent host can be removed (run flotilla leave there, or stop its flotilla-agent first)$`},
		{"orphan stop h1", 2, `orphan stop needs a host and a unit: flotilla orphan stop h1 web.service$`},
		{"orphan stop h1 web", 1, `web.service is no orphan on h1 (flotilla explain h1 lists them)$`},
	}
}

// badGroups are wrong command lines; what is wrong with good ones stands in testdata/groups.txtar.
func badGroups() []badWords {
	return []badWords{
		{"group frob", 2, `group has no command "frob": see flotilla help group$`},
		{"group set", 2, `group set needs a name: flotilla group set web --selector role=web --window night$`},
		{"group set a b", 2, `group set takes NAME and nothing after it, got "b": see flotilla help group set$`},
		{"group set web", 2, `a new group needs --selector, such as role=web; --clear selector is for all hosts$`},
		{"group set web --selector EMPTY", 2, `word 5 of the command line is empty: is a variable of the shell not set?$`},
		{"group set web --max all", 2, `--max "all": neither a number of hosts such as 2 nor a share such as 25%$`},
		{"group set web --max -1", 2, `--max "-1": neither a number of hosts such as 2 nor a share such as 25%$`},
		{"group set web --max 101%", 2, `--max "101%": neither a number of hosts such as 2 nor a share such as 25%$`},
		{"group set web --failures few", 2, `invalid value "few" for flag -failures: parse error: see flotilla help group set$`},
		{"group set web --settle soon", 2, `invalid value "soon" for flag -settle: parse error: see flotilla help group set$`},
		{"group set web --stage a=b;max=x", 2, `--stage "a=b;max=x": max: "x": neither a number of hosts such as 2 nor a share such as 25%$`},
		{"group set web --stage a=b;soak=1", 2, `--stage "a=b;soak=1": soak: "1" is no time: write it with units, as in 90s or 1h30m$`},
		{"group set web --check-http http://a/;timeout=x", 2, `--check-http "http://a/;timeout=x": timeout: "x" is no time: write it with units, as in 90s or 1h30m$`},
		{"group set web --check-promql http://a:9090", 2, `--check-promql "http://a:9090": want a URL, a space and a query: `},
		{"group set web --clear everything", 2, `--clear everything: want one of selector, max, windows, stages, spread, on-blocked, wall, checks$`},
		{"group set web --clear windows --window night", 2, `--clear windows and --window exclude one another: --window sets anew$`},
		{"group show", 2, `group show needs a name: flotilla group show web$`},
		{"group list x", 2, `group list takes no arguments, got "x": see flotilla help group list$`},
		{"group list --fields name", 2, `no field "name": want some of group,selector,hosts,max,windows,note,stages,spread,checks,set-by$`},
		{"group remove", 2, `group remove needs a name: flotilla group remove web$`},
		{"window set", 2, `window set needs a name: flotilla window set night 'Sat *-*-* 02:00' --for 2h$`},
		{"window set night", 2, `a new window needs a calendar and --for: flotilla window set night 'Sat *-*-* 02:00' --for 2h$`},
		{"window set night 02:00", 2, `a new window needs a calendar and --for: `},
		{"window set night 02:00 --calendar 03:00 --for 1h", 2, `the calendar stands twice: after the name, and with --calendar$`},
		{"window set night Sat 02:00 --for 1h", 2, `window set takes NAME [CALENDAR] and nothing after it, got "02:00": write the calendar in quotes: 'Sat *-*-* 02:00'$`},
		{"window set night 02:00 --for long", 2, `invalid value "long" for flag -for: parse error: see flotilla help window set$`},
		{"window set night --clear calendar", 2, `--clear calendar: want one of zone, except, jitter$`},
		{"window show", 2, `window show needs a name: flotilla window show night$`},
		{"window next -n 0", 2, `--number 0: want 1 to 100$`},
		{"window next -n 101", 2, `--number 101: want 1 to 100$`},
		{"window next a b", 2, `window next takes [NAME] and nothing after it, got "b": see flotilla help window next$`},
		{"window remove", 2, `window remove needs a name: flotilla window remove night$`},
	}
}

func badUnits() []badWords {
	return []badWords{
		{"start nosuch", 1, `no unit "nosuch.service" in the cluster, and no file of this name here (flotilla list-unit-files shows the units; a path names another folder)$`},
		{"stop nosuch", 1, `no unit "nosuch.service" in the cluster (flotilla list-unit-files shows what there is)$`},
		{"destroy nosuch*", 1, `no unit in the cluster matches "nosuch*" (flotilla list-unit-files shows the units; a glob never looks at files)$`},
		{"stop nosuch@?", 1, `no unit in the cluster matches "nosuch@?.service" (flotilla list-unit-files shows the units; a glob never looks at files)$`},
		{"start kept/*.service", 1, `no unit in the cluster matches "kept/*.service" (flotilla list-unit-files shows the units; a glob never looks at files)$`},
		{"start folder.service", 1, `folder.service is a folder, not a unit file (name a file in it, or a path such as /etc/units/folder.service)$`},
		{"start kept/", 1, `kept/ is a folder, not a unit (name the files in it, as in kept/*.service)$`},
		{"start .", 1, `. is a folder, not a unit (name the files in it, as in ./*.service)$`},
		{"start pipe.service", 1, `pipe.service is no regular file (write the unit into a file)$`},
		{"start we[b", 1, `we[b: column 3: glob is malformed (close the set with ], as in [a-c])$`},
		{"start web@{1..99999}", 1, `web@{1..99999}: column 5: pattern stands for more than 1000 names (narrow a range)$`},
		{"start a@{1..600} b@{1..600}", 1, "1200 names or more: one command takes 1000 "},
		{"start web@{1-3}", 1, `web@{1-3}: column 5: "{1-3}" is neither a range of numbers nor a list (write {1..3} or {a,b})$`},
		{"start my*unit?x{", 1, `my*unit?x{: column 10: "{" is never closed (add the closing })$`},
		{"start büro", 1, `büro.service: column 2: "ü" may not stand in a unit name (a unit name is made of letters, digits and : _ . - \ @)$`},
		{"start web.exe", 1, `no unit "web.exe.service" in the cluster, and no file of this name here (flotilla list-unit-files shows the units; a path names another folder)$`},
		{"start sda.device", 1, `sda.device: device units are made by the kernel and cannot be submitted (flotilla manages service, socket, timer, path, mount, automount, target, slice)$`},
		{"start no/such/dir/a.service", 1, `no/such/dir/a.service: no such unit file$`},
		{"start web@.service", 1, `web@.service is a template and cannot be started (name an instance, as in web@1.service)$`},
		{"stop made@.service", 1, `made@.service is a template and cannot be stopped (name an instance, as in made@1.service)$`},
		{"restart made@.service", 1, `made@.service is a template and cannot be restarted (name an instance, as in made@1.service)$`},
		{"stop made@77", 1, `no unit "made@77.service" in the cluster (flotilla list-unit-files shows what there is)$`},
		{"unload made@78", 1, `no unit "made@78.service" in the cluster (flotilla list-unit-files shows what there is)$`},
		{"submit systemd-x.service", 1, `systemd-x.service: names that begin with systemd- are reserved (choose another name)$`},
		{"submit option.service", 1, `option.service:4: unknown option Conflict in [X-Flotilla] (did you mean Conflicts=?)$`},
		{"submit line.service", 1, `line.service:3: no = in this line (write Name=value, or # before a comment)$`},
		{"submit latin.service", 1, `latin.service:3: text is not valid UTF-8 (save the file as UTF-8)$`},
		{"submit large.service", 1, `large.service:1: file has 600032 bytes, 524288 is the most (put large text into a file of its own)$`},
		{"submit empty.service", 1, `empty.service:1: file is empty, which systemd takes for a masked unit (write at least a [Unit] section)$`},
		{"submit fenced.service", 1, `fenced.service:2: Docker with Fence=yes is refused: its processes live outside the unit's cgroup (use Podman with --cgroups=split, or a plain process)$`},
		{"submit option.service --endpoint unix:///nowhere", 1, `option.service:4: unknown option Conflict in [X-Flotilla] (did you mean Conflicts=?)$`},
		{"start there.service ./line.service --endpoint unix:///nowhere", 1, `line.service:3: no = in this line (write Name=value, or # before a comment)$`},
		{"load bad@1 --endpoint unix:///nowhere", 1, `bad@.service:1: text before the first section (put a header such as [Service] above it)$`},
		{"submit there.service", 1, `there.service is in the cluster with other content (`},
	}
}

// badRanges: too many names are refused alike by every verb, whether we or the shell counted them.
func badRanges() (out []badWords) {
	for _, verb := range []string{"submit", "load", "start", "stop", "unload", "restart", "destroy", "cat", "status", "explain", "logs", "journal"} {
		out = append(out,
			badWords{verb + " web@{1..99999}", 1, `web@{1..99999}: column 5: pattern stands for more than 1000 names (narrow a range)$`},
			badWords{verb + strings.Repeat(" web@1", 1001), 1, "1001 names or more: one command takes 1000 "})
	}
	return out
}

func badCertificates() []badWords {
	return []badWords{
		{"status --endpoint unix:///nowhere", 1, `no daemon answers at /nowhere: connect: no such file or directory (is flotilla-agent running? --endpoint names another daemon)$`},
		{"status --endpoint ftp://h1", 2, `endpoint "ftp://h1": want unix:///path or https://host:port$`},
		{"status --endpoint h1:7117", 2, `endpoint "h1:7117": `},
		{"status --endpoint https://127.0.0.1:1", 2, `an https endpoint needs --ca, --cert and --key: --ca is missing$`},
		{"status --endpoint https://127.0.0.1:1 --ca CA --cert CRT", 2, `an https endpoint needs --ca, --cert and --key: --key is missing$`},
		{"status --endpoint https://127.0.0.1:1 --ca nofile --cert CRT --key KEY", 1, `read --ca: open nofile: no such file or directory$`},
		{"status --endpoint https://127.0.0.1:1 --ca KEY --cert CRT --key KEY", 1, `no certificate in it: give the cluster's ca.crt$`},
		{"status --endpoint https://127.0.0.1:1 --ca CA --cert CA --key KEY", 1, `private key does not match public key$`},
		{"status --endpoint https://127.0.0.1:1 --ca CA --cert CRT --key CRT", 1, `load --cert alice.crt with --key alice.crt: tls: found a certificate rather than a key in the PEM for the private key$`},
		{"status --endpoint https://127.0.0.1:1 --ca CA --cert CRT --key KEY", 1, `no daemon answers at 127.0.0.1:1: connect: connection refused (is flotilla-agent running? --endpoint names another daemon)$`},
		{"admin-cert", 2, `admin-cert needs one name: flotilla admin-cert alice$`},
		{"admin-cert ../x", 2, `admin-cert "../x": want a name of letters, digits and _ . @ -, up to 64, other than ca$`},
		{"admin-cert alice --ttl 9000h", 2, `--ttl 9000h0m0s: want 1h to 8784h0m0s$`},
		{"token --ttl forever", 1, `ttl "forever": want a duration from 1m to 168h (write 30m or 24h)$`},
	}
}

// badMembers are for init and join.
func badMembers() []badWords {
	return []badWords{
		{"join 127.0.0.1 --token nonsense", 1, `join token does not begin with FLT1- (copy the whole line that 'flotilla token' printed)$`},
		{"join 127.0.0.1 --token FLT1-aaaa", 1, `join token is cut off (copy it again, whole)$`},
		{"join 127.0.0.1 --token FLT1-a-b-c-d-e-f-g", 1, `join token has 8 parts, want 6 (copy it again, whole)$`},
		{"join 127.0.0.1 --token FLT1-!!!!!!!!-b", 1, `join token has a character in part 2 that no token has (copy it again, whole)$`},
		{"join 127.0.0.1", 2, `join needs --token: flotilla token on a host of the cluster prints one$`},
		{"join 127.0.0.1 --token FLT1-aaaa --timeout 0s", 2, `--timeout 0s: want a positive duration such as 5m$`},
		{"join h1 h2 --token FLT1-aaaa", 2, `join takes ADDRESS and nothing after it, got "h2": see flotilla help join$`},
		{"init --label disk", 2, `--label "disk": write key=value$`},
		{"init --label a=b --label a=c", 2, `--label "a=c": a has a value already$`},
		{"init --label a=b=c", 1, `label a: has a value with an = or a control character (write key=value on one line, without another =)$`},
		{"init --address h1", 1, `address "h1" is no IP address of a host (write it like --address 10.0.0.1, without port)$`},
		{"init --prefix x", 1, `prefix: "x" must begin with a slash and not end with one (write it like /flotilla)$`},
		{"init --etcd-endpoints http://10.0.0.9:2379", 1, `external_etcd.endpoints: "http://10.0.0.9:2379" would be plain text over the network (use https)$`},
		{"leave", 1, `/etc/flotilla/flotilla.json: this host is not a member of a cluster (run 'flotilla init' on the first host, 'flotilla join' on the others)$`},
		{"admin-cert alice", 1, `/etc/flotilla/pki/ca.key: no such file (run this on a host that has the CA's key: every etcd member has it)$`},
	}
}

// TestBadInputs: every wrong input is answered by lines that begin alike and name what is
// wrong and the remedy, by an exit code, and by no change in the store and on the host.
func TestBadInputs(t *testing.T) {
	c, err := apitest.New(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	dir := t.TempDir()
	t.Chdir(dir)
	socket := filepath.Join(shortDir(t), "s")
	stop, err := c.Hosts[0].Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	t.Setenv("FLOTILLA_ENDPOINT", "unix://"+socket)
	writeBadFiles(t, dir)
	writeCertificates(t, dir)
	if code, said := newBench(t, true).run(t, "submit kept/there.service made@.service"); code != 0 {
		t.Fatalf("submit kept/there.service made@.service = %d %s", code, said)
	}
	host := newBench(t, true)
	empty := host.files(t)
	n := 0
	for _, table := range [][]badWords{badCommandLines(), badStray(), badHosts(), badDrains(), badGroups(), badReboots(), badUnits(), badRanges(), badCertificates(), badMembers()} {
		for _, bad := range table {
			n++
			before, err := c.Revision(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			code, said := host.run(t, bad.args)
			want, whole := strings.CutSuffix(bad.want, "$")
			line, _ := strings.CutPrefix(said, "flotilla: error: ")
			if code != bad.code || !strings.HasPrefix(said, "flotilla: error: ") || strings.Count(said, "\n") != 1 ||
				want == "" || !strings.Contains(line, want) || whole && !strings.HasSuffix(strings.TrimSpace(line), want) {
				t.Errorf("flotilla %s = %d, want %d\n got %s\nwant %s", bad.args, code, bad.code, said, bad.want)
			}
			if after, err := c.Revision(t.Context()); err != nil || after != before {
				t.Errorf("flotilla %s changed the store: revision %d, then %d (%v)", bad.args, before, after, err)
			}
			if left := host.files(t); !slices.Equal(left, empty) || len(host.asked) > 0 {
				t.Fatalf("flotilla %s left %v on the host and asked its systemd for %v", bad.args, left, host.asked)
			}
		}
	}
	t.Logf("%d bad inputs", n)
}

// shortDir is a folder whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func writeBadFiles(t *testing.T, dir string) {
	t.Helper()
	const ok = "[Service]\nExecStart=/bin/true\n"
	for _, folder := range []string{"kept", "folder.service"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.service"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"web@.service": ok, "made@.service": ok, "systemd-x.service": ok, "empty.service": "", "bad@.service": "ExecStart=/bin/true\n",
		"option.service":     ok + "[X-Flotilla]\nConflict=a.service\n",
		"latin.service":      ok + "# b\xfcro\n",
		"large.service":      ok + "#" + strings.Repeat("x", 600_000) + "\n",
		"line.service":       ok + "Restart always\n",
		"fenced.service":     "[Service]\nExecStart=/usr/bin/docker run x\n[X-Flotilla]\nFence=yes\n",
		"there.service":      ok,
		"kept/there.service": "[Service]\nExecStart=/bin/false\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// writeCertificates writes what admin-cert does.
func writeCertificates(t *testing.T, dir string) {
	t.Helper()
	ca, err := members.NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files, err := adminFiles(ca, "alice", time.Hour, time.Now())
	if err == nil {
		err = writeNew(dir, files)
	}
	if err != nil {
		t.Fatal(err)
	}
	if again, err := adminFiles(ca, "alice", time.Hour, time.Now()); err != nil {
		t.Fatal(err)
	} else if err := writeNew(dir, again); err == nil || !strings.Contains(err.Error(), "alice.key exists already: choose another name or --dir") {
		t.Errorf("a second certificate of the same name: %v, want that its key exists already", err)
	}
}

// TestManualNamesEveryCommand: docs/cli.md has a heading for each command, with each of its
// flags below it, and for nothing else.
func TestManualNamesEveryCommand(t *testing.T) {
	raw, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := regexp.MustCompile("(?m)^### `flotilla ([a-z][a-z -]*[a-z])[^`]*`$")
	found := map[string]string{}
	all := heading.FindAllSubmatchIndex(raw, -1)
	for i, at := range all {
		end := len(raw)
		if i+1 < len(all) {
			end = all[i+1][0]
		}
		found[string(raw[at[2]:at[3]])] = string(raw[at[0]:end])
	}
	common := map[string]bool{"help": true}
	for _, f := range endpointFlags() {
		common[f.Names()[0]] = true
	}
	for name, cmd := range leaves("", commands(host{})) {
		text, ok := found[name]
		if !ok {
			t.Errorf("docs/cli.md has no heading for flotilla %s", name)
			continue
		}
		delete(found, name)
		for _, f := range cmd.Flags {
			if flag := f.Names()[0]; !common[flag] && !strings.Contains(text, "`--"+flag) {
				t.Errorf("docs/cli.md: flotilla %s has no word on --%s", name, flag)
			}
		}
	}
	for name := range found {
		t.Errorf("docs/cli.md has a heading for flotilla %s, which does not exist", name)
	}
}
