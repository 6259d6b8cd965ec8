package main

import (
	"encoding/json"
	"os"
	"time"
)

// visit is what came of one pair of arguments.
type visit struct {
	Verb   string `json:"verb"`
	Target string `json:"target"`
	Answer string `json:"answer"`
	Error  string `json:"error"`
	Millis int64  `json:"millis"`
}

func main() {
	args := os.Args[1:]
	out := json.NewEncoder(os.Stdout)
	for ; len(args) >= 2; args = args[2:] {
		do, known := verbs()[args[0]]
		if !known {
			os.Exit(2)
		}
		v := visit{Verb: args[0], Target: args[1]}
		began := time.Now()
		answer, err := do(v.Target)
		v.Answer, v.Millis = answer, time.Since(began).Milliseconds()
		if err != nil {
			v.Error = err.Error()
		}
		if out.Encode(v) != nil {
			os.Exit(1)
		}
	}
}
