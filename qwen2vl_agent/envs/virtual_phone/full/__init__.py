"""The full edition of the virtual phone: more apps, notifications, prompts, drags, mirrored layouts."""
