service Echo {
    void ping(),
    binary echo(1: binary data),
}
