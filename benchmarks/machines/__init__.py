"""Two real machines whose recordings are public: their models, their authors' parameters, how their logs are read."""
