package main

import (
	"fmt"
	"os"

	"github.com/jackfield/jackfield/sdk/plugin"
)

// folderEnv is where the host says which folder to run.
const folderEnv = "JACKFIELD_PLUGIN_DIR"

func main() {
	dir := os.Getenv(folderEnv)
	if dir == "" {
		plugin.Serve(runtimeItself{})
		return
	}
	p, err := loadDir(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // the host shows it with the folder
		os.Exit(1)
	}
	plugin.Serve(p)
}
