package record

import (
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Actions are how many things a tool that ran left behind, by its name alone: 1
// for one that writes, 0 for one that only looks and for one that failed. Of any
// other, such as a shell, nobody knows. Tools of MCP servers are known by the
// last part of their names.
func Actions(tool string, ok bool) (n int, known bool) {
	if at := strings.LastIndex(tool, "__"); at >= 0 {
		tool = tool[at+2:]
	}
	switch strings.ToLower(tool) {
	// files
	case "edit", "multiedit", "write", "notebookedit", "edit_file", "write_file", "create_file", "delete_file", "move_file",
		"rename_file", "apply_patch", "apply_diff", "replace", "replace_in_file", "write_to_file", "insert_content", "str_replace",
		"str_replace_editor", "insert_edit_into_file", "replace_string_in_file", "search_replace", "edit_notebook_file",
		// version control
		"git_commit", "git_push", "create_or_update_file", "push_files", "create_pull_request", "update_pull_request",
		"merge_pull_request", "create_merge_request", "update_merge_request", "merge_merge_request",
		"create_pull_request_review", "submit_pending_pull_request_review", "add_comment_to_pending_review",
		// tickets and messages
		"create_issue", "update_issue", "add_issue_comment", "issue_write", "createjiraissue", "editjiraissue", "transitionjiraissue",
		"addcommenttojiraissue", "create_ticket", "update_ticket", "transition_issue", "add_comment",
		"send_message", "post_message", "send_email", "save_query":
		if ok {
			n = 1
		}
		return n, true
	case "read", "grep", "glob", "ls", "notebookread", "webfetch", "websearch", "todoread", "todowrite", "toolsearch",
		"read_file", "read_many_files", "list_dir", "list_directory", "grep_search", "file_search", "codebase_search", "semantic_search",
		"search_file_content", "search_files", "list_files", "google_web_search", "web_fetch", "web_search", "view":
		return 0, true
	}
	return 0, false
}

// SideEffects adds how many things a tool that ran left behind to an activity,
// where its name says so.
func SideEffects(a *goodhartv1.Activity, tool string, ok bool) {
	if n, known := Actions(tool, ok); known {
		Number(a, event.SideEffects, float64(n))
	}
}
