package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/jackfield/jackfield/sdk"
	"github.com/jackfield/jackfield/sdk/plugin"
)

// folderEnv is where the host says which folder to run.
const folderEnv = "JACKFIELD_PLUGIN_DIR"

// garbage is how much the memory grows, in percent, before what nobody holds is
// collected: worlds are short, and the guard collects when there is much.
const garbage = 400

func main() {
	debug.SetGCPercent(garbage)
	dir := os.Getenv(folderEnv)
	if dir == "" {
		plugin.Serve(runtimeItself{})
		return
	}
	p, err := loadDir(dir)
	if err != nil {
		plugin.Serve(faulty{err})
		return
	}
	plugin.Serve(p)
}

// faulty is a folder that cannot be run.
type faulty struct{ err error }

var _ sdk.Faulty = faulty{}

// Fault implements sdk.Faulty: the host shows it with the folder.
func (f faulty) Fault() error { return f.err }

// Manifest implements sdk.Plugin; nobody sees it.
func (faulty) Manifest() sdk.Manifest { return sdk.Manifest{} }

// Open implements sdk.Plugin; nobody can call it.
func (f faulty) Open(context.Context, sdk.Integration) (sdk.Instance, error) { return nil, f.err }
