package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	err := Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(exitCode(err))
}

// Run is the program: it does what args ask for and returns what went wrong,
// after telling stderr. It starts nothing that outlives it.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := newCLI(os.Stdin, stdout, stderr, os.Getenv)
	return c.run(ctx, args)
}
