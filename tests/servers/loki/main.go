// Command loki is Grafana Loki, built from the Go module it is published as.
//
// Loki's own program is package main of a module that cannot be installed by name, because its go.mod has replace
// lines. This program does what that one does before it starts, and nothing else: without the defaults for limits
// every push is answered 500.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	// First, for the reason Loki's own main gives: other packages expect that it has registered its encoding.
	_ "google.golang.org/grpc/encoding/proto"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/grafana/loki/v3/pkg/loki"
	"github.com/grafana/loki/v3/pkg/runtime"
	"github.com/grafana/loki/v3/pkg/util/cfg"
	util_log "github.com/grafana/loki/v3/pkg/util/log"
	"github.com/grafana/loki/v3/pkg/validation"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	started := time.Now()
	var config loki.ConfigWrapper
	if err := cfg.DynamicUnmarshal(&config, args, flag.CommandLine); err != nil {
		return err
	}
	config.LimitsConfig.SetGlobalOTLPConfig(config.Distributor.OTLPConfig)
	policies := config.Distributor.DefaultPolicyStreamMappings
	if err := config.LimitsConfig.SetDefaultPolicyStreamMapping(policies); err != nil {
		return err
	}
	validation.SetDefaultLimitsForYAMLUnmarshalling(config.LimitsConfig)
	runtime.SetDefaultLimitsForYAMLUnmarshalling(config.OperationalConfig)
	config.Server.Log = util_log.InitLogger(&config.Server, prometheus.DefaultRegisterer, false)
	if err := config.Validate(); err != nil {
		return err
	}
	server, err := loki.New(config.Config)
	if err != nil {
		return err
	}
	return server.Run(loki.RunOpts{StartTime: started})
}
