// Telegraf's own openldap input, without the rest of Telegraf: gathers once, and prints the fields as one JSON object. Errors go to
// the error output and end it with 1. Arguments: host; port; "", ldaps or starttls; the file of the authority to trust; bind DN;
// password; whether names are reversed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/plugins/inputs/openldap"
)

// The part of an accumulator that the input uses: anything else would be a nil call and end the program.
type accumulator struct {
	telegraf.Accumulator
	fields map[string]interface{}
	failed bool
}

func (a *accumulator) AddFields(_ string, fields map[string]interface{}, _ map[string]string, _ ...time.Time) {
	for name, value := range fields {
		a.fields[name] = value
	}
}

func (a *accumulator) AddError(err error) {
	if err != nil {
		a.failed = true
		fmt.Fprintln(os.Stderr, err)
	}
}

func main() {
	if len(os.Args) != 8 {
		fmt.Fprintln(os.Stderr, "seven arguments are expected")
		os.Exit(2)
	}
	port, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	input := &openldap.Openldap{
		Host:               os.Args[1],
		Port:               port,
		TLS:                os.Args[3],
		TLSCA:              os.Args[4],
		BindDn:             os.Args[5],
		BindPassword:       os.Args[6],
		ReverseMetricNames: os.Args[7] == "true",
	}
	gathered := &accumulator{fields: map[string]interface{}{}}
	if err := input.Gather(gathered); err != nil {
		gathered.AddError(err)
	}
	if gathered.failed {
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(gathered.fields); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
