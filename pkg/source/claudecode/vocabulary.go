package claudecode

func builtinTools() []string {
	return []string{
		"Agent", "AskUserQuestion", "Bash", "BashOutput", "CronCreate", "CronDelete", "CronList", "Edit",
		"EnterPlanMode", "EnterWorktree", "ExitPlanMode", "ExitWorktree", "Glob", "Grep", "KillBash", "KillShell",
		"LS", "LSP", "ListMcpResourcesTool", "Monitor", "MultiEdit", "NotebookEdit", "NotebookRead", "PowerShell",
		"Read", "ReadMcpResourceTool", "SendMessage", "Skill", "SlashCommand", "StructuredOutput", "Task",
		"TaskCreate", "TaskGet", "TaskList", "TaskOutput", "TaskStop", "TaskUpdate", "TeamCreate", "TeamDelete",
		"TodoRead", "TodoWrite", "ToolSearch", "WebFetch", "WebSearch", "WorkspaceBash", "Write",
	}
}

func hookEvents() column {
	return oneOf(
		"ConfigChange", "CwdChanged", "Elicitation", "ElicitationResult", "FileChanged", "InstructionsLoaded",
		"Notification", "PermissionDenied", "PermissionRequest", "PostCompact", "PostToolUse",
		"PostToolUseFailure", "PreCompact", "PreToolUse", "SessionEnd", "SessionStart", "Setup", "Stop",
		"StopFailure", "SubagentStart", "SubagentStop", "TaskCompleted", "TaskCreated", "TeammateIdle",
		"UserPromptSubmit", "WorktreeCreate", "WorktreeRemove",
	)
}

func decisions() column { return oneOf("accept", "reject") }

func deciders() column {
	return oneOf("config", "hook", "user_permanent", "user_temporary", "user_abort", "user_reject")
}

func speeds() column  { return oneOf("fast", "normal") }
func efforts() column { return oneOf("low", "medium", "high", "xhigh", "max") }
func modes() column {
	return oneOf("default", "plan", "acceptEdits", "auto", "bypassPermissions", "dontAsk")
}

// eventTables lists the log events, by bare name, but for api_request.
func eventTables() map[string]table {
	failed := table{
		"model": label(), "status_code": num(), "duration_ms": num(), "attempt": num(), "speed": speeds(),
		"effort": efforts(), "query_source": label(), "total_attempts": num(), "total_retry_duration_ms": num(),
		"error_type": label(),
	}
	hook := table{
		"hook_event": hookEvents(), "num_hooks": num(), "num_success": num(), "num_blocking": num(),
		"num_non_blocking_error": num(), "num_cancelled": num(), "total_duration_ms": num(),
		"managed_only": flag(), "hook_source": oneOf("policySettings", "merged"),
	}
	return map[string]table{
		"user_prompt":        {"prompt_length": num(), "command_source": oneOf("builtin", "custom", "mcp")},
		"assistant_response": {"response_length": num(), "model": label(), "query_source": label()},
		"tool_result": {
			"tool_name": tool(), "success": flag(), "duration_ms": num(), "error_type": label(),
			"decision_type": decisions(), "decision_source": deciders(), "tool_input_size_bytes": num(),
			"tool_result_size_bytes": num(), "mcp_server_scope": scopes(),
		},
		"tool_decision":         {"tool_name": tool(), "decision": decisions(), "source": deciders()},
		"api_error":             failed,
		"api_refusal":           failed,
		"api_retries_exhausted": failed,
		"api_request_body":      {"body_length": num(), "body_truncated": flag(), "model": label(), "query_source": label()},
		"api_response_body":     {"body_length": num(), "body_truncated": flag(), "model": label(), "query_source": label()},
		"permission_mode_changed": {
			"from_mode": modes(), "to_mode": modes(),
			"trigger": oneOf("shift_tab", "exit_plan_mode", "auto_gate_denied", "auto_opt_in"),
		},
		"auth": {
			"action": oneOf("login", "logout"), "success": flag(), "status_code": num(),
			"auth_method": oneOf("oauth", "api_key", "console", "sso"), "error_category": label(),
		},
		"mcp_server_connection": {
			"status":         oneOf("connected", "failed", "disconnected"),
			"transport_type": oneOf("stdio", "sse", "http", "ws", "sdk"), "server_scope": scopes(),
			"duration_ms": num(), "error_code": label(),
		},
		"internal_error": {"error_name": label(), "error_code": label()},
		"plugin_installed": {
			"marketplace.is_official": flag(), "install.trigger": oneOf("cli", "ui"),
		},
		"plugin_loaded": {
			"plugin.scope": oneOf("official", "org", "user-local", "default-bundle"),
			"enabled_via":  oneOf("default-enable", "org-policy", "seed-mount", "user-install"),
			"has_hooks":    flag(), "has_mcp": flag(), "skill_path_count": num(), "command_path_count": num(),
			"agent_path_count": num(),
		},
		"skill_activated": {
			"invocation_trigger": oneOf("user-slash", "claude-proactive", "nested-skill"),
			"skill.source":       oneOf("bundled", "userSettings", "projectSettings", "plugin", "policySettings"),
		},
		"at_mention": {"mention_type": oneOf("file", "directory", "agent", "mcp_resource"), "success": flag()},
		"hook_registered": {
			"hook_event": hookEvents(), "hook_type": oneOf("command", "prompt", "mcp_tool", "http", "agent"),
			"hook_source": oneOf("userSettings", "projectSettings", "localSettings", "flagSettings",
				"policySettings", "pluginHook"),
		},
		"hook_execution_start":    hook,
		"hook_execution_complete": hook,
		"hook_plugin_metrics":     {"hook_event": hookEvents()},
		"compaction": {
			"trigger": oneOf("auto", "manual"), "success": flag(), "duration_ms": num(),
			"pre_tokens": num(), "post_tokens": num(),
			"precompute_reuse": oneOf("hit", "miss_custom_instructions", "miss_hook", "miss_not_ready"),
		},
		"subagent_completed": {
			"total_tokens": num(), "total_tool_uses": num(), "duration_ms": num(), "model": label(), "success": flag(),
		},
		"feedback_survey": {
			"event_type":           oneOf("appeared", "responded", "transcript_prompt_appeared"),
			"survey_type":          oneOf("session"),
			"response":             oneOf("bad", "fine", "good", "dismissed", "1", "2", "3", "0"),
			"enabled_via_override": flag(),
		},
	}
}

func scopes() column {
	return oneOf("user", "project", "local", "enterprise", "dynamic", "claudeai", "managed", "plugin")
}

// pointTables lists the counters, without prefix, but for those of usage.
func pointTables() map[string]table {
	return map[string]table{
		"session.count":       {"start_type": oneOf("fresh", "resume", "continue", "agents_view")},
		"lines_of_code.count": {"type": oneOf("added", "removed"), "model": label()},
		"pull_request.count":  {},
		"commit.count":        {},
		"code_edit_tool.decision": {
			"tool_name": tool(), "decision": decisions(), "source": deciders(), "language": label(),
		},
		"active_time.total": {"type": oneOf("user", "cli")},
	}
}

// spanTables lists the spans, without prefix, but for llm_request.
func spanTables() map[string]table {
	return map[string]table{
		"interaction":          {"user_prompt_length": num(), "interaction.sequence": num(), "interaction.duration_ms": num()},
		"tool":                 {"tool_name": tool(), "duration_ms": num(), "result_tokens": num()},
		"tool.blocked_on_user": {"duration_ms": num(), "decision": decisions(), "source": deciders()},
		"tool.execution":       {"duration_ms": num(), "success": flag()},
		"hook": {
			"hook_event": hookEvents(), "num_hooks": num(), "duration_ms": num(), "num_success": num(),
			"num_blocking": num(), "num_non_blocking_error": num(), "num_cancelled": num(),
		},
	}
}
