package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// Bounds of what happens around an exec.
const (
	busyRetries  = 5                      // of a file that somebody has open for writing
	busyDelay    = 20 * time.Millisecond  // doubled by each
	drainOutput  = 500 * time.Millisecond // for what is in the pipes when the process is gone
	killTimeout  = 2 * time.Second        // for the kernel to end what it was told to kill
	maxNoise     = 10                     // lines before the handshake that are kept
	maxNoiseLine = 200
)

// execution is one process, from exec to its end, as go-plugin sees it. It reads
// the process's output to the end; go-plugin gets the handshake alone.
type execution struct {
	name     string
	binary   Binary
	cage     func(cmd *exec.Cmd, l Launch) (Confinement, error) // Options.Confine
	dir      string                                             // of the process: its sockets are there
	exe      *program
	env      []string // go-plugin's variables; the rest is ours
	base     []string
	spawn    *spawner
	out      *output
	lifeline *os.File // broken when the host is gone: the SDK ends the process then
	stdout   *handshakeReader
	pids     *runDir
	speaks   []int           // versions of the protocol that the host does
	raw      func(l RawLine) // told of each line of output as it is; may be nil

	started chan struct{} // closed when the process runs
	exited  chan struct{} // closed when it has ended and its output is read

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd
	cell   Confinement
	fate   string // why the kernel ended it, if for a limit
	killed bool   // told to end, perhaps before it began
	reaped bool
	busy   func() []string // names the integrations that it works for; nil before there can be any
	doing  []string        // what busy said when the process ended
	noise  []string        // lines before the handshake
	bad    error           // why the handshake was refused
	shook  bool

	address string // where it listens, as the handshake says
}

var _ runner.Runner = (*execution)(nil)

// Start implements runner.Runner. Nothing runs that is not what was approved.
func (x *execution) Start(ctx context.Context) error {
	if err := x.exe.verified(); err != nil {
		return err
	}
	x.mu.Lock()
	killed := x.killed
	x.mu.Unlock()
	if killed {
		return errors.New("it was ended before it began")
	}
	delay := busyDelay
	for try := 0; ; try++ {
		err := x.start(ctx)
		if !errors.Is(err, syscall.ETXTBSY) || try == busyRetries {
			return err
		}
		select {
		case <-time.After(delay):
			delay *= 2
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (x *execution) start(ctx context.Context) (err error) {
	var pipes [3][2]*os.File // stdin, stdout, stderr; read and write end
	defer func() {
		for i, p := range pipes {
			child, ours := p[min(i, 1)], p[1-min(i, 1)]
			closeFile(child) // the process has a copy, or there is none
			if err != nil {
				closeFile(ours)
			}
		}
	}()
	for i := range pipes {
		if pipes[i][0], pipes[i][1], err = os.Pipe(); err != nil {
			return fmt.Errorf("make pipe: %w", err)
		}
	}
	cmd := &exec.Cmd{
		Path:        executablePath(x.exe.file, x.exe.script),
		Args:        []string{x.name},
		Env:         append(append([]string{}, x.base...), x.env...),
		Dir:         x.dir,
		Stdin:       pipes[0][0],
		Stdout:      pipes[1][1],
		Stderr:      pipes[2][1],
		SysProcAttr: sysProcAttr(),
	}
	cell, err := x.confine(cmd)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			cell.Close()
		}
	}()
	if err := x.spawn.do(ctx, cmd.Start); err != nil {
		return err //nolint:wrapcheck // explained by startFailure
	}
	x.mu.Lock()
	x.cmd, x.cell = cmd, cell
	if x.killed { // while it was being started
		signalGroup(cmd.Process.Pid, sigKill)
	}
	x.mu.Unlock()
	if err := x.launched(cmd, cell); err != nil {
		return err
	}
	x.lifeline = pipes[0][1]
	x.out.started(cmd.Process.Pid)
	_ = x.pids.add(cmd.Process.Pid) // only a help for the next boot
	close(x.started)
	var reading sync.WaitGroup
	reading.Go(func() { readLines(pipes[1][0], x.watched(true, x.readStdout)) })
	reading.Go(func() { readLines(pipes[2][0], x.watched(false, x.out.stderr)) })
	go x.reap(&reading, pipes[1][0], pipes[2][0])
	return nil
}

// watched is each, with the raw line shown first to whoever wants it.
func (x *execution) watched(stdout bool, each func(line []byte, cut int)) func(line []byte, cut int) {
	if x.raw == nil {
		return each
	}
	return func(line []byte, cut int) {
		x.raw(RawLine{Stdout: stdout, Text: string(line), Cut: cut, Handshake: stdout && looksLikeHandshake(string(line))})
		each(line, cut)
	}
}

// reap waits for the end of the process, kills what is left of its group, and
// reads the rest of its output.
func (x *execution) reap(reading *sync.WaitGroup, pipes ...*os.File) {
	pid := x.cmd.Process.Pid
	if awaitExit(pid) {
		x.mu.Lock()
		signalGroup(pid, sigKill)
		_ = x.cmd.Wait() // the state tells more than the error
	} else {
		_ = x.cmd.Wait()
		x.mu.Lock()
		signalGroup(pid, sigKill)
	}
	x.reaped = true
	x.mu.Unlock()
	doing := x.remember()
	x.cell.Kill()
	closeFile(x.lifeline)

	read := make(chan struct{})
	go func() {
		reading.Wait()
		close(read)
	}()
	select {
	case <-read:
	case <-time.After(drainOutput): // somebody outside of the group holds the pipe
	}
	for _, p := range pipes {
		closeFile(p)
	}
	<-read
	fate := x.cell.Explain(x.out.lastLines(stderrLines))
	x.mu.Lock()
	x.fate = fate
	x.mu.Unlock()
	x.out.ended(x.ending(), doing)
	x.cell.Close()
	_ = x.pids.remove(pid) // only a help for the next boot
	x.stdout.end()
	close(x.exited)
}

// readStdout passes the handshake on, and logs all the rest.
func (x *execution) readStdout(line []byte, cut int) {
	x.mu.Lock()
	before, killed := !x.shook, x.killed // half a line that was cut off by us is none
	x.mu.Unlock()
	if !before || killed || cut > 0 || !looksLikeHandshake(string(line)) {
		if before {
			x.addNoise(string(line))
		}
		x.out.stdout(line, cut)
		return
	}
	h, err := parseHandshake(string(line), x.dir, x.speaks)
	x.mu.Lock()
	x.shook, x.address, x.bad = true, h.address, err
	x.mu.Unlock()
	if err != nil {
		x.stdout.end()
		return
	}
	_ = x.pids.note(x.pid()) // only a help for the next boot
	x.stdout.give(line)
}

func (x *execution) addNoise(line string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if line = strings.TrimSpace(clean(line, maxNoiseLine)); line != "" && len(x.noise) < maxNoise {
		x.noise = append(x.noise, x.out.redact(line))
	}
}

// signal sends sig to the group, unless the process is gone.
func (x *execution) signal(sig syscall.Signal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cmd != nil && !x.reaped {
		signalGroup(x.cmd.Process.Pid, sig)
	}
}

// kill ends the group and waits for that, but not for ever.
func (x *execution) kill() {
	x.mu.Lock()
	x.killed = true
	x.mu.Unlock()
	x.signal(sigKill)
	x.await(killTimeout)
}

// await reports whether the process ended within d. One that never ran has.
func (x *execution) await(d time.Duration) bool {
	select {
	case <-x.started:
	default:
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-x.exited:
		return true
	case <-timer.C:
		return false
	}
}

// ending says how the process ended; empty while it runs.
func (x *execution) ending() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cmd == nil || !x.reaped || x.cmd.ProcessState == nil {
		return ""
	}
	text := "was ended by " + strings.Replace(x.cmd.ProcessState.String(), "signal: ", "signal ", 1)
	if code := x.cmd.ProcessState.ExitCode(); code >= 0 {
		text = fmt.Sprintf("exited with code %d", code)
	}
	if x.fate != "" {
		text += ": " + x.fate
	}
	return text
}

// handshaken reports whether there was a handshake, why it was refused, and what
// was printed before it.
func (x *execution) handshaken() (ok bool, noise []string, refused error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.shook, x.noise, x.bad
}

func (x *execution) pid() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cmd == nil {
		return 0
	}
	return x.cmd.Process.Pid
}

// Kill implements runner.Runner.
func (x *execution) Kill(context.Context) error {
	x.kill()
	return nil
}

// Wait implements runner.Runner.
func (x *execution) Wait(ctx context.Context) error {
	select {
	case <-x.exited:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stdout implements runner.Runner: the handshake, then silence until the end.
func (x *execution) Stdout() io.ReadCloser { return x.stdout }

// Stderr implements runner.Runner. go-plugin must not parse what a plugin
// writes: a JSON line of the wrong shape makes it panic.
func (x *execution) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements runner.Runner.
func (x *execution) Name() string { return x.name }

// ID implements runner.Runner.
func (x *execution) ID() string {
	if pid := x.pid(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// Diagnose implements runner.Runner; startFailure knows more.
func (x *execution) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.Runner: go-plugin asks it before each dial.
func (x *execution) PluginToHost(network, address string) (string, string, error) {
	return network, address, handshake{network, address}.check(x.dir)
}

// HostToPlugin implements runner.Runner.
func (x *execution) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

func closeFile(f *os.File) {
	if f != nil {
		_ = f.Close() // a pipe: nothing is lost
	}
}

// handshakeReader is a stream of one line that ends with the process.
type handshakeReader struct {
	line chan []byte // of one
	done chan struct{}
	once sync.Once
	rest []byte // Read's alone
}

func newHandshakeReader() *handshakeReader {
	return &handshakeReader{line: make(chan []byte, 1), done: make(chan struct{})}
}

func (r *handshakeReader) give(line []byte) { r.line <- append(append([]byte{}, line...), '\n') }

func (r *handshakeReader) end() { r.once.Do(func() { close(r.done) }) }

// Read blocks until there is the line, or the end.
func (r *handshakeReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		select {
		case r.rest = <-r.line:
		case <-r.done:
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close does nothing: the stream ends with the process.
func (r *handshakeReader) Close() error { return nil }
