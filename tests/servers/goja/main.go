// Command goja runs a script for Filebeat's processor `script` in goja, the engine that Filebeat holds: goja SCRIPT < EVENTS.
//
// Events are an array of JSON objects whose keys are names of fields; what the script puts into them is printed.
package main

import (
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/dop251/goja"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	script, err := os.ReadFile(os.Args[1])
	must(err)
	data, err := io.ReadAll(os.Stdin)
	must(err)
	var events []map[string]any
	must(json.Unmarshal(data, &events))
	vm := goja.New()
	_, err = vm.RunString(string(script))
	must(err)
	process, ok := goja.AssertFunction(vm.Get("process"))
	if !ok {
		log.Fatal("the script has no function `process`")
	}
	for _, fields := range events {
		event := vm.NewObject()
		must(event.Set("Get", func(name string) any { return fields[name] }))
		must(event.Set("Put", func(name string, value any) { fields[name] = value }))
		_, err = process(goja.Undefined(), event)
		must(err)
	}
	must(json.NewEncoder(os.Stdout).Encode(events))
}
