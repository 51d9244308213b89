"""`imagine doctor`: looks at everything a picture depends on, and changes nothing."""
