package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/jackfield/jackfield/sdk"
)

// Supervisor runs plugins. Its methods may be called from several goroutines.
type Supervisor struct {
	opts     Options
	log      hclog.Logger
	dirs     *runDir
	spawner  *spawner
	starting chan struct{}  // a place for each start at once
	hire     chan *actor    // to Run, which gives it a goroutine
	ready    chan struct{}  // closed when Run takes work
	ended    chan struct{}  // closed when Run has ended
	wg       sync.WaitGroup // processes and what ends them
	idle     atomic.Pointer[idleTimes]
	patience atomic.Pointer[patience]

	mu       sync.Mutex // guards what follows
	actors   map[string]*actor
	draining map[*process]struct{}
	alone    map[*process]struct{} // lent by AcquireAlone
	stopping bool                  // no other is lent

	loners sync.WaitGroup // starting, lent, or ending
	stop   chan struct{}  // closed when those that are lent have to end
}

// New returns a Supervisor that Run sets to work. It fails if no run directory
// can hold a socket.
func New(opts Options) (*Supervisor, error) {
	opts = opts.withDefaults()
	dir, err := opts.runDir()
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		opts:     opts,
		log:      opts.Log.Named("supervisor"),
		dirs:     newRunDir(dir, opts.Shared),
		spawner:  newSpawner(),
		starting: make(chan struct{}, 2*runtime.NumCPU()),
		hire:     make(chan *actor),
		ready:    make(chan struct{}),
		ended:    make(chan struct{}),
		actors:   map[string]*actor{},
		draining: map[*process]struct{}{},
		alone:    map[*process]struct{}{},
		stop:     make(chan struct{}),
	}
	s.idle.Store(&idleTimes{opts.Idle, opts.IdleOf})
	s.patience.Store(&patience{opts.Probation, opts.DrainTimeout})
	return s, nil
}

// Run removes what an earlier host left, and then runs what Sync wants until ctx
// ends. It returns when every process has ended, at most some seconds later; one
// who wants calls to end first waits for them before. Run is called once.
func (s *Supervisor) Run(ctx context.Context) error {
	defer close(s.ended)
	if err := Supported(); err != nil {
		return err
	}
	if err := closeOnExec(); err != nil {
		s.log.Warn("plugins may inherit open files", "error", err)
	}
	strays, err := s.dirs.open()
	if len(strays) > 0 {
		s.log.Warn("killed processes that an earlier host left", "pids", strays)
	}
	if err != nil {
		return err
	}
	stopped := make(chan struct{})
	var spawning, actors sync.WaitGroup
	spawning.Go(func() { s.spawner.run(stopped) })
	close(s.ready)
	for ctx.Err() == nil {
		select {
		case a := <-s.hire:
			actors.Go(func() { a.run(ctx) })
		case <-ctx.Done():
		}
	}
	actors.Wait()
	s.stopAlone()
	s.wg.Wait()
	close(stopped)
	spawning.Wait()
	return s.dirs.close()
}

// Sync makes the running plugins those of want. What is unchanged stays; a
// changed one is started before the old one is let go, and if it does not start
// the old one stays; what is not wanted any more takes no new work and ends when
// its calls have, within the drain timeout. Sync returns when every new process
// serves or has failed, with the failures joined. A plugin that has no older
// version to serve is tried again by itself, which a further Sync leaves it to.
func (s *Supervisor) Sync(ctx context.Context, want []Binary) error {
	select {
	case <-s.ready:
	case <-s.ended:
		return ErrNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var errs []error
	jobs := make(map[*actor]request, len(want))
	s.mu.Lock()
	wanted := make(map[string]Binary, len(want))
	for _, b := range want {
		if first, ok := wanted[b.Name]; ok {
			if first.Digest != b.Digest {
				errs = append(errs, fmt.Errorf("plugin %s: %s and %s are both to serve it (hint: remove one)", b.Name, first.Path, b.Path))
			}
			continue
		}
		wanted[b.Name] = b
		a := s.actors[b.Name]
		if a == nil || closed(a.done) {
			a = newActor(s, b)
			s.actors[b.Name] = a
		}
		jobs[a] = request{binary: b}
	}
	for name, a := range s.actors {
		if _, ok := wanted[name]; !ok {
			delete(s.actors, name)
			for _, gone := range append(a.branches.close(), a) {
				jobs[gone] = request{remove: true}
			}
		}
	}
	s.mu.Unlock()
	return errors.Join(append(errs, s.ask(ctx, jobs)...)...)
}

// Restart starts a new process of the plugin, also of one that rests after a crash
// loop, and lets the old one go when its calls have ended. It returns when the new
// one serves, or with the reason why it does not: then the old one stays.
// ErrNotLoaded means that no such plugin is wanted.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	a := s.actor(name)
	if a == nil {
		return fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
	}
	return errors.Join(a.ask(ctx, request{restart: true}), errors.Join(s.ask(ctx, a.branches.restart())...))
}

// Try has b take over from what serves, although it may be withdrawn: a person
// wants it. Otherwise it is as with Sync.
func (s *Supervisor) Try(ctx context.Context, b Binary) error {
	a := s.actor(b.Name)
	if a == nil {
		return fmt.Errorf("plugin %s: %w", b.Name, ErrNotLoaded)
	}
	return errors.Join(a.ask(ctx, request{binary: b, restart: true}), errors.Join(s.ask(ctx, a.branches.restart())...))
}

// ask sends every request at once and returns the errors by plugin.
func (s *Supervisor) ask(ctx context.Context, jobs map[*actor]request) []error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex // guards errs
		errs = map[string]error{}
	)
	for a, req := range jobs {
		wg.Go(func() {
			err := s.employ(ctx, a)
			if err == nil {
				err = a.ask(ctx, req)
			}
			if (req.remove || a.branch != nil) && errors.Is(err, ErrNotRunning) {
				err = nil // it is gone, which is what was asked for
			}
			if err != nil {
				mu.Lock()
				errs[a.name] = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var sorted []error
	for _, a := range slices.SortedFunc(maps.Keys(jobs), func(a, b *actor) int { return cmp.Compare(a.name, b.name) }) {
		if err := errs[a.name]; err != nil {
			sorted = append(sorted, err)
		}
	}
	return sorted
}

// employ has Run give the actor its goroutine, if nobody did yet.
func (s *Supervisor) employ(ctx context.Context, a *actor) error {
	select {
	case <-a.jobless:
	default:
		return nil
	}
	select {
	case s.hire <- a:
		return nil
	case <-s.ended:
		return ErrNotRunning
	case <-ctx.Done():
		a.jobless <- struct{}{} // for the next Sync
		return context.Cause(ctx)
	}
}

// retire lets a process go once its calls have ended, without waiting for it, and
// then calls then.
func (s *Supervisor) retire(ctx context.Context, p *process, then func()) {
	if p == nil {
		return
	}
	s.mu.Lock()
	for other := range s.alone { // their calls go on elsewhere from the next checkpoint
		if other.binary.Name == p.binary.Name && other.binary.Tenant == p.binary.Tenant {
			other.retire()
		}
	}
	s.mu.Unlock()
	s.letGo(ctx, p, func() {
		then()
		s.log.Info("plugin let go", "plugin", p.binary.Name, "version", p.manifest.Version, "pid", p.x.pid())
		s.opts.OnChange()
	})
}

// letGo is retire for the process alone.
func (s *Supervisor) letGo(ctx context.Context, p *process, then func()) {
	p.retire()
	s.mu.Lock()
	s.draining[p] = struct{}{}
	s.mu.Unlock()
	s.wg.Go(func() {
		p.stop(ctx, s.patience.Load().drain)
		s.mu.Lock()
		delete(s.draining, p)
		s.mu.Unlock()
		then()
	})
}

// Loaded returns the names of the plugins that can take work now, sorted: those that
// rest too, since a call starts them.
func (s *Supervisor) Loaded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, a := range s.actors {
		if a.serves() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Manifest returns what the plugin's last process said of itself; false if none
// ever did. It does not say that the plugin can take work: Loaded does.
func (s *Supervisor) Manifest(name string) (sdk.Manifest, bool) {
	a := s.actor(name)
	if a == nil {
		return sdk.Manifest{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.manifest, a.known
}

// Status returns every plugin, and every process that drains, by name.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	var all []Status
	for _, a := range s.actors {
		all = append(all, a.summary()...)
		if c := a.tried(); c != nil {
			all = append(all, c.status())
		}
	}
	for p := range s.draining {
		st := Status{Name: p.binary.Name, Tenant: p.binary.Tenant, State: StateDraining}
		p.describe(&st)
		all = append(all, st)
	}
	s.mu.Unlock()
	slices.SortStableFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Tenant, b.Tenant), b.StartedAt.Compare(a.StartedAt))
	})
	return all
}

// Acquire lends an instance of the plugin for the integration at its revision.
// It is opened if it is not open yet; the error is then the plugin's own.
// ErrNotLoaded means that no process can take work; a plugin that rests is started,
// within ctx. An integration with DryRun or without a revision gets an instance of its
// own.
func (s *Supervisor) Acquire(ctx context.Context, name string, in sdk.Integration) (*Handle, error) {
	const tries = 3 // a process may be replaced while it is asked
	for range tries {
		a, err := s.actorFor(ctx, name, in.Tenant)
		if err != nil {
			return nil, err
		}
		if a == nil {
			break
		}
		p, err := a.awake(ctx)
		if errors.Is(err, errRetired) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", name, err)
		}
		if p == nil {
			break
		}
		h, err := p.acquire(ctx, in)
		if !errors.Is(err, errRetired) {
			return h, err
		}
	}
	return nil, fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
}

// PIDs returns the processes of all plugins, from their exec to their end: those that
// start, are tried, drain or serve one call too.
func (s *Supervisor) PIDs() []int { return s.dirs.living() }

func (s *Supervisor) actor(name string) *actor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.actors[name]
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
