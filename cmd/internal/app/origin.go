package app

import (
	"cmp"
	"regexp"
	"strings"
)

// ciActors are the variables in which CI systems say who started a job.
var ciActors = []string{ //nolint:gochecknoglobals // a table
	"GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILDKITE_BUILD_CREATOR", "CIRCLE_USERNAME", "DRONE_COMMIT_AUTHOR",
	"BUILD_REQUESTEDFOR", "BITBUCKET_STEP_TRIGGERER_UUID",
}

// scheduledJob is the end that a CronJob gives to the names of its Jobs, the
// scheduled minute, with what the Job adds for its pod: the completion index of
// an Indexed one, else five letters.
var scheduledJob = regexp.MustCompile(`-[0-9]{8,}(-[0-9]+|-[a-z0-9]{5})?$`)

// Trigger says what started this run: schedule, manual, http, lambda, ci or
// cli. It is TIDEMARK_TRIGGER or what the environment tells.
func (e Env) Trigger() string {
	switch {
	case e.Get("TIDEMARK_TRIGGER") != "":
		return e.Get("TIDEMARK_TRIGGER")
	case e.Get("AWS_LAMBDA_FUNCTION_NAME") != "":
		return "lambda"
	case e.Get("K_SERVICE") != "", e.Get("FUNCTION_TARGET") != "":
		return "http"
	case e.isCI():
		return "ci"
	case e.Get("CLOUD_RUN_JOB") != "":
		return "schedule"
	case e.Get("KUBERNETES_SERVICE_HOST") != "":
		// A pod in its node's network is called like the node.
		if scheduledJob.MatchString(cmp.Or(e.Get("TIDEMARK_POD_NAME"), e.Host)) {
			return "schedule"
		}
		return "manual"
	}
	return "cli"
}

// The annotations of a Job that tell of its making: kubectl create job --from says
// that it was made by hand, and the cluster's own admission policy may say by whom
// (deploy/kubernetes/components/creator).
const (
	annotationInstantiate = "cronjob.kubernetes.io/instantiate"
	annotationCreator     = "tidemark.dev/creator"
)

// origin gives trigger and actor of a run, given the annotations of the Job that it
// runs from. What the variables say counts before them.
func (e Env) origin(job map[string]string) (trigger, actor string) {
	trigger, actor = e.Trigger(), e.Actor()
	if job[annotationInstantiate] != "manual" {
		return trigger, actor
	}
	if e.Get("TIDEMARK_TRIGGER") == "" {
		trigger = "manual"
	}
	if creator := job[annotationCreator]; creator != "" && e.Get("TIDEMARK_ACTOR") == "" {
		actor = creator
	}
	return trigger, actor
}

// isCI goes by the variable that nearly every CI system sets.
func (e Env) isCI() bool {
	ci := strings.ToLower(e.Get("CI"))
	return ci != "" && ci != "false" && ci != "0" || e.Get("TF_BUILD") != "" || e.Get("JENKINS_URL") != ""
}

// Actor says who started this run: TIDEMARK_ACTOR, whom the CI system names, or
// USER@HOST.
func (e Env) Actor() string {
	if actor := e.Get("TIDEMARK_ACTOR"); actor != "" {
		return actor
	}
	if e.isCI() {
		for _, name := range ciActors {
			if actor := e.Get(name); actor != "" {
				return actor
			}
		}
	}
	return e.Holder()
}

// Holder says where this run happens, for those who wait for its lease.
func (e Env) Holder() string {
	switch {
	case e.User == "":
		return e.Host
	case e.Host == "":
		return e.User
	}
	return e.User + "@" + e.Host
}
