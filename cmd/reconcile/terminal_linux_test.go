package main

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// startOnTerminal starts the process on a terminal of its own: its standard
// streams all are that terminal, and what it prints there goes to p.out.
func (p *process) startOnTerminal() error {
	here, there, err := openTerminal()
	if err != nil {
		return err
	}
	defer there.Close()
	out, err := os.Create(p.out)
	if err != nil {
		return err
	}
	p.terminal = here
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = there, there, there
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(out, here) // ends with an error when the last one hangs up
		out.Close()
		close(copied)
	}()
	go func() {
		_ = p.cmd.Wait() // ends looks at the exit code
		<-copied
		here.Close()
		close(p.done)
	}()
	return nil
}

// openTerminal is a new pseudo terminal, from outside and from inside.
func openTerminal() (here, there *os.File, err error) {
	here, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(here.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	there, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	return here, there, err
}
