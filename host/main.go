package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals // who asks twice does not wait for an orderly end
		os.Exit(exitInterrupted)
	}()
	os.Exit(exitCode(Run(ctx, os.Args[1:], os.Stdout, os.Stderr)))
}

// Run is the program: it does what args ask for and returns what went wrong,
// after telling stderr. It starts nothing that outlives it.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := newCLI(os.Stdin, stdout, stderr, os.Getenv)
	return c.run(ctx, args)
}
