package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// exitCode ends the program with that code and no message.
type exitCode int

func (c exitCode) Error() string { return "exit " + strconv.Itoa(int(c)) }

var errArguments = errors.New("wrong number of arguments")

// commands lists what the program can be asked to do.
func commands() map[string]func(args []string) error {
	return map[string]func([]string) error{
		"serve":  serve,
		"exit":   exit,
		"say":    say,
		"cat":    cat,
		"count":  count,
		"append": appendLine,
		"fill":   fill,
		"sleep":  sleep,
		"alloc":  alloc,
		"upper":  upper,
		"fetch":  fetchCommand,
	}
}

// exit CODE [FILE TEXT] ends with the code, after it wrote text to the file, as
// a program writes its termination message.
func exit(args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errArguments
	}
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if len(args) == 3 {
		if err := os.WriteFile(args[1], []byte(args[2]), 0o600); err != nil {
			return err
		}
	}
	return exitCode(code)
}

// say OUT ERR CODE writes one line to each stream.
func say(args []string) error {
	if len(args) != 3 {
		return errArguments
	}
	fmt.Println(args[0])
	fmt.Fprintln(os.Stderr, args[1])
	return exit(args[2:])
}

// cat FILE... writes files to stdout.
func cat(args []string) error {
	for _, name := range args {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// count N [MILLIS] writes the lines "line 1" to "line N".
func count(args []string) error {
	if len(args) == 0 {
		return errArguments
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	pause := 0
	if len(args) > 1 {
		if pause, err = strconv.Atoi(args[1]); err != nil {
			return err
		}
	}
	for i := range n {
		fmt.Printf("line %d\n", i+1)
		time.Sleep(time.Duration(pause) * time.Millisecond)
	}
	return nil
}

// append FILE TEXT adds a line to a file.
func appendLine(args []string) error {
	if len(args) != 2 {
		return errArguments
	}
	f, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666) //nolint:gosec // containers with different users share it
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, args[1])
	return errors.Join(err, f.Close())
}

// fill FILE BYTES writes that many bytes, and sleeps.
func fill(args []string) error {
	if len(args) != 2 {
		return errArguments
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, zeros{}, size)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Println("filled", size)
	return sleep([]string{"600"})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sleep SECONDS waits, and dies of SIGTERM like any program that is not
// process 1.
func sleep(args []string) error {
	if len(args) != 1 {
		return errArguments
	}
	seconds, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return err
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-terminated():
		return exitCode(143)
	}
	return nil
}

// allocDelay gives the container runtime time to watch the new container for
// want of memory, which it begins after the start.
const allocDelay = 2 * time.Second

// alloc BYTES touches that much memory after a while, and sleeps.
func alloc(args []string) error {
	if len(args) != 1 {
		return errArguments
	}
	size, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	time.Sleep(allocDelay)
	memory := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	fmt.Println("allocated", len(memory))
	return sleep([]string{"600"})
}

// upper answers each line of stdin in capitals.
func upper([]string) error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(strings.ToUpper(lines.Text()))
	}
	return lines.Err()
}

// fetch URL writes the body of a 200 to stdout.
func fetchCommand(args []string) error {
	if len(args) != 1 {
		return errArguments
	}
	body, err := fetch(request{url: args[0]})
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(body)
	return err
}
