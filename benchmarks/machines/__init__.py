"""Two real machines whose recordings are public: their models, their authors' parameters, their logs."""
